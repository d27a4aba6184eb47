"""What each phase does, keeps and takes up again."""

import numpy as np
import pytest

from tlkit.backend import keras
from tlkit.data.images.augmentation import POLICIES, Augmenter
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.errors import DataError, RunError, TrainingError, UsageError
from tlkit.training.batch_sequence import BatchSequence
from tlkit.training.checkpoint import read_checkpoint
from tlkit.training.compile_options import make_loss, make_optimizer
from tlkit.training.datasets import FeatureDataset, ImageDataset
from tlkit.training.heads import choose_head
from tlkit.training.model import build_head
from tlkit.training.objective import Objective, balanced_weights
from tlkit.training.plan import PhasePlan
from tlkit.training.trainer import Trainer

PREPROCESSOR = ImagePreprocessor((32, 32), "lite")
FEATURES = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
LABELS = np.arange(6) % 2


def batches(seed=None, *, variants=1, memory=2**30):
    rows = np.arange(6 * variants).reshape(6, variants)
    data = FeatureDataset(lambda rows: (FEATURES[rows],), rows, LABELS, ((8,),), memory)
    return BatchSequence(data, batch_size=4, seed=seed)


def head_of(kind="dense", **options):
    keras.utils.set_random_seed(0)
    return build_head(choose_head(kind, **options), (8,), 2)


def plan(**options):
    return PhasePlan(**{"name": "head", "epochs": 4, "optimizer": "rmsprop", "lr": 1e-3, **options})


def test_phase_1_trains_the_head(tmp_path):
    head = head_of()
    before = head.get_weights()
    phase = Trainer(Objective(2), tmp_path).train(plan(epochs=2), head, batches(0), batches())
    assert all((now != old).any() for now, old in zip(head.get_weights(), before, strict=True))
    assert [epoch["epoch"] for epoch in phase.epochs] == [1, 2]


@pytest.mark.parametrize("memory", [2**30, 0])
def test_the_order_of_an_epoch_depends_on_the_seed_alone(memory):
    def order(made, epoch):
        made.epoch = epoch
        return np.concatenate([made[index][0][:, 0] for index in range(len(made))]).tolist()

    one, other = batches(1, memory=memory), batches(1)
    assert order(one, 3) == order(other, 3)
    assert order(one, 3) != order(one, 4)
    assert order(batches(2), 3) != order(one, 3)
    assert order(batches(memory=memory), 3) == FEATURES[:6, 0].tolist()
    both = batches(1, variants=2, memory=memory)
    seen = {value for epoch in range(9) for value in order(both, epoch)}
    assert seen == set(FEATURES[:, 0].tolist())  # every variant comes up, one of each row an epoch
    assert len(order(both, 0)) == 6


# in the first phase, after its last epoch, in the second
@pytest.mark.every
@pytest.mark.parametrize(
    ("stop", "patience"),
    [pytest.param(2, None, marks=pytest.mark.every), (4, 6), pytest.param(6, None, marks=pytest.mark.every)],
)
def test_what_is_broken_off_ends_as_if_it_was_not(tmp_path, stop, patience):
    """Dropout, the state of the optimizer, a schedule and the best epoch so far are all taken up."""

    def run(folder, break_after=None):
        folder.mkdir(exist_ok=True)
        head = head_of("flatten", units=5)
        training = Trainer(Objective(2, 0.1, {0: 1.0, 1: 2.0}), folder, read_checkpoint(folder))
        held_out = batches()
        if break_after:
            held_out = Breaking(held_out, break_after)
        plans = (
            plan(schedule="cosine", patience=patience),
            plan(
                name="finetune", optimizer="sgd", schedule="linear", patience=patience, nesterov=True, warmup_epochs=1,
                weight_decay=0.01, clip_norm=1.0, ema=True,
            ),
        )  # fmt: skip
        for each in plans:
            training.train(each, head, batches(1), held_out)
        return head.get_weights(), [[{**epoch, "seconds": 0} for epoch in phase.epochs] for phase in training.phases]

    expected, history = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", break_after=stop)
    found, again = run(tmp_path / "broken")
    assert again == history
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


class Breaking(keras.utils.PyDataset):
    """Stands for a process that ends: so many passes, then Ctrl-C."""

    failure = None

    def __init__(self, batches, passes):
        super().__init__()
        self.batches, self.passes = batches, passes

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]

    def on_epoch_end(self):
        self.passes -= 1
        if self.passes < 0:
            raise KeyboardInterrupt


def test_patience_ends_a_phase_and_keeps_its_best_epoch(tmp_path):
    head = head_of("linear")
    # a rate that learns nothing but noise: later epochs are worse sooner or later
    phase = Trainer(Objective(2), tmp_path).train(
        plan(epochs=60, optimizer="sgd", lr=3.0, patience=2), head, batches(0), batches()
    )
    assert len(phase.epochs) < 60
    assert len(phase.epochs) - phase.best == 2
    best = phase.epochs[phase.best - 1]
    assert best["val_accuracy"] == phase.val_accuracy == max(epoch["val_accuracy"] for epoch in phase.epochs)
    probabilities = head(FEATURES[:6]).numpy()
    assert (probabilities.argmax(axis=1) == LABELS).mean() == pytest.approx(best["val_accuracy"])


@pytest.mark.every
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    import tlkit.training.checkpoint as module

    Trainer(Objective(2), tmp_path).train(plan(epochs=1), head_of(), batches(0), batches())
    before = (tmp_path / "checkpoint.npz").read_bytes()

    def full(file, **arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.np, "savez", full)
    with pytest.raises(RunError, match="No space left") as caught:
        Trainer(Objective(2), tmp_path).train(plan(name="finetune"), head_of(), batches(0), batches())
    assert "--resume" in caught.value.hint
    assert (tmp_path / "checkpoint.npz").read_bytes() == before
    (tmp_path / "checkpoint.npz").write_bytes(before[:-30])
    with pytest.raises(RunError, match="is damaged"):
        read_checkpoint(tmp_path)


def test_a_training_that_comes_apart_says_so(tmp_path):
    with pytest.raises(TrainingError, match="diverged"):
        Trainer(Objective(2), tmp_path).train(plan(lr=1e30, optimizer="sgd"), head_of(), batches(0), batches())


def test_class_weights_make_classes_count_the_same():
    labels = np.array([0] * 6 + [1] * 2 + [2] * 4)
    weights = balanced_weights(labels, 3)
    assert [weights[label] * (labels == label).sum() for label in range(3)] == pytest.approx([4, 4, 4])


def test_label_smoothing_is_that_of_keras():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
    labels = np.array([0, 1])
    expected = keras.losses.categorical_crossentropy(np.eye(3)[labels], probabilities, label_smoothing=0.2)
    np.testing.assert_allclose(make_loss(Objective(3, 0.2))(labels, probabilities), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize(("schedule", "end"), [("constant", 0.1), ("linear", 0.0), ("cosine", 0.0)])
def test_optimizers_and_schedules(name, schedule, end):
    made = make_optimizer(plan(optimizer=name, lr=0.1, schedule=schedule), steps=5)
    assert type(made).__name__.lower() == name
    rate = made._learning_rate
    first, last = (float(rate(step)) for step in (0, 20)) if callable(rate) else (float(rate), float(rate))
    assert first == pytest.approx(0.1)
    assert last == pytest.approx(end, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ({"kind": "dense"}, [("Dense", 1024), ("Dense", 3)]),
        ({"kind": "linear"}, [("Dense", 3)]),
        ({"kind": "linear", "dropout": 0.2}, [("Dropout", 0.2), ("Dense", 3)]),
        ({"kind": "flatten"}, [("Flatten", None), ("Dense", 256), ("Dropout", 0.5), ("Dense", 3)]),
        ({"kind": "dense", "units": 64, "dropout": 0.3}, [("Dense", 64), ("Dropout", 0.3), ("Dense", 3)]),
    ],
)
def test_heads_are_those_of_the_recipes(options, layers):
    shape = (4, 4, 16) if options["kind"] == "flatten" else (16,)
    head = build_head(choose_head(**options), shape, 3)
    found = [
        (type(layer).__name__, getattr(layer, "units", getattr(layer, "rate", None)))
        for layer in head.layers
        if "Input" not in type(layer).__name__
    ]
    assert found == layers
    np.testing.assert_allclose(head(np.ones((2, *shape), np.float32)).numpy().sum(axis=1), 1, rtol=1e-5)


def test_heads_that_cannot_be():
    assert choose_head("dense").pooling == "avg"
    assert choose_head("flatten").pooling == "none"
    assert choose_head("linear", pooling="max").pooling == "max"
    with pytest.raises(UsageError, match="needs one vector"):
        choose_head("dense", pooling="none")
    with pytest.raises(UsageError, match="no hidden layer"):
        choose_head("linear", units=5)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.every] if kind == "randaugment" else []) for kind in POLICIES]
)
def test_augmentation_depends_on_picture_and_seed_alone(kind, chelsea):
    augment, other = Augmenter(kind), Augmenter(kind)
    pixels = np.ascontiguousarray(chelsea[:64, :80])
    made = [augment(pixels, (0, number)) for number in range(6)]
    assert all(each.dtype == np.uint8 and each.shape == pixels.shape for each in made)
    assert any((each != pixels).any() for each in made)
    assert len({each.tobytes() for each in made}) > 2
    np.testing.assert_array_equal(other(pixels, (0, 5)), made[5])
    # it is still the picture: changed by a camera, not by noise
    if kind == "light":
        assert all(abs(each.mean() - pixels.mean()) < 20 for each in made)


def test_pictures_go_through_what_is_frozen_and_are_augmented_when_they_train(tmp_path, noise):
    files = [str(noise(tmp_path / f"{number}.png", number)) for number in range(6)]
    seen = []

    def compute(pixels):
        seen.append(pixels)
        return (pixels.mean(axis=(1, 2)), pixels[:, 0, 0].astype(np.float32))

    augment = Augmenter("light")

    def change(pixels, row, variant, epoch):
        return augment(pixels, (row, variant, epoch))

    data = ImageDataset(files, LABELS, preprocessor=PREPROCESSOR, compute=compute, augment=change)
    made = BatchSequence(data, batch_size=4, seed=3)
    (first, second), labels = made[0]
    assert (first.shape, second.shape, labels.shape) == ((4, 3), (4, 3), (4,))
    made[0]
    np.testing.assert_array_equal(seen[0], seen[1])
    made.epoch = 1
    made[0]
    assert (seen[0] != seen[2]).any()
    plain = BatchSequence(ImageDataset(files, LABELS, preprocessor=PREPROCESSOR), batch_size=6)
    np.testing.assert_array_equal(
        plain[0][0],
        PREPROCESSOR.to_model_input(np.stack([PREPROCESSOR.to_array(PREPROCESSOR.load(file)) for file in files])),
    )
    np.testing.assert_array_equal(plain[0][1], LABELS)


def test_a_picture_that_vanishes_is_named(tmp_path, noise):
    files = [str(noise(tmp_path / f"{number}.png", number)) for number in range(6)]
    made = BatchSequence(ImageDataset(files, LABELS, preprocessor=PREPROCESSOR), batch_size=6)
    (tmp_path / "3.png").unlink()
    model = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, "softmax")])
    model.build((None, 32, 32, 3))
    with pytest.raises(DataError, match="3.png could be read before and cannot be now: there is no such file"):
        Trainer(Objective(2), tmp_path).train(plan(), model, made, made)


def test_memory_that_does_not_suffice_is_said_with_the_next_batch_size(tmp_path, monkeypatch):
    def fit(self, *arguments, **options):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 GB.")

    monkeypatch.setattr(keras.Model, "fit", fit)
    with pytest.raises(TrainingError, match="does not suffice to train with batches of 4") as raised:
        Trainer(Objective(2), tmp_path).train(plan(), head_of(), batches(0), batches())
    assert "--batch-size 2" in raised.value.hint
