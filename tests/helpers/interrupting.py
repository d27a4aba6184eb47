"""Ctrl-C at a chosen place of a training."""

from __future__ import annotations

from contextlib import contextmanager

import tlkit.training.trainer as trainer


class InterruptsPhase2(trainer.CheckpointWriter):
    """Ends the process, as it were, after the first epoch of phase 2 is on disk."""

    def write(self, checkpoint):
        super().write(checkpoint)
        if checkpoint.phases[-1].name == "finetune":
            self.wait()
            raise KeyboardInterrupt


@contextmanager
def interrupted_in_phase_2(monkeypatch):
    """Interrupt trainings inside the block."""
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "CheckpointWriter", InterruptsPhase2)
        yield
