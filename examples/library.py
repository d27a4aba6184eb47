"""Use tlkit as a library: classify photographs, train a classifier and use it.

    python examples/make_data.py
    python examples/library.py

reads demo/data and creates a run in runs/.
"""

from pathlib import Path

import tlkit

DATA = Path("demo/data")


def main() -> None:
    for prediction in tlkit.predict(DATA / "photos", top=1):
        print(Path(prediction.input).name, prediction.scores[0].name)

    result = tlkit.finetune(DATA / "textures", epochs=3, finetune_epochs=1)
    print(f"{result.run}: validation accuracy {result.val_accuracy:.3f}")

    (prediction,) = tlkit.predict(DATA / "textures/validation/grass/grass-00.png", model=result.run, top=1)
    print(Path(prediction.input).name, prediction.scores[0].name)


if __name__ == "__main__":
    main()
