"""The fine-tuning recipe of 2017, ported line by line to Keras 3: what `finetune.py` beside this file measures against.

Generators feed both phases, and the whole network runs in every epoch. Images are not augmented, so that both
sides do the same work.

    python recipe2017.py DATA BASE WEIGHTS SIZE FREEZE HEAD_EPOCHS FINETUNE_EPOCHS SEED MODEL
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras.src.legacy.preprocessing.image import ImageDataGenerator  # tf.keras's, without TensorFlow


def base_and_preprocessing(name, weights, size):
    if name == "inceptionv3":
        application = keras.applications.inception_v3
        base = application.InceptionV3(weights=weights, include_top=False, input_shape=(size, size, 3))
        return base, application.preprocess_input
    # a base with real weights that needs no download; its pixels are (x - 127) / 128
    from tlkit.architectures.pretrained import build_pretrained
    from tlkit.architectures.registry.lookup import get_architecture

    base = build_pretrained(get_architecture(name), include_top=False, size=(size, size)).model
    return base, lambda pixels: (pixels - 127.0) / 128.0


def main(data, name, weights, size, freeze, head_epochs, finetune_epochs, seed, path):
    keras.utils.set_random_seed(seed)
    base, preprocess = base_and_preprocessing(name, weights, size)
    generator = ImageDataGenerator(preprocessing_function=preprocess)
    options = {"target_size": (size, size), "batch_size": 16, "class_mode": "categorical", "interpolation": "bilinear"}
    train = generator.flow_from_directory(f"{data}/train", seed=seed, **options)
    validation = generator.flow_from_directory(f"{data}/validation", shuffle=False, **options)

    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dense(1024, activation="relu")(x)
    x = keras.layers.Dense(len(train.class_indices), activation="softmax")(x)
    model = keras.Model(base.input, x)

    for layer in base.layers:
        layer.trainable = False
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(train, validation_data=validation, epochs=head_epochs, verbose=0)

    if finetune_epochs:
        for layer in base.layers[:freeze]:
            layer.trainable = False
        for layer in base.layers[freeze:]:
            layer.trainable = True
        sgd = keras.optimizers.SGD(learning_rate=1e-4, momentum=0.9)
        model.compile(optimizer=sgd, loss="categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(train, validation_data=validation, epochs=finetune_epochs, verbose=0)
    model.save(path)
    print("val_accuracy", history.history["val_accuracy"][-1])


if __name__ == "__main__":
    if len(sys.argv) != 10:
        raise SystemExit(__doc__)
    data, name, weights, size, freeze, head, finetune, seed, path = sys.argv[1:]
    numbers = (int(number) for number in (size, freeze, head, finetune, seed))
    main(data, name, weights if weights != "none" else None, *numbers, path)
