"""The fine-tuning recipe of 2017, ported line by line to Keras 3: what `finetune.py` beside this file measures against.

Generators feed both phases, and the whole network runs in every epoch. The pictures are not augmented, so that both
sides are asked for the same.

    python recipe2017.py DATA FREEZE HEAD_EPOCHS FINETUNE_EPOCHS MODEL
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from keras.applications.inception_v3 import InceptionV3, preprocess_input

WEIGHTS = os.environ.get("RECIPE_WEIGHTS") or None


def main(data, freeze, head_epochs, finetune_epochs, path):
    generator = tf.keras.preprocessing.image.ImageDataGenerator(preprocessing_function=preprocess_input)
    options = {"target_size": (299, 299), "batch_size": 16, "class_mode": "categorical"}
    train = generator.flow_from_directory(f"{data}/train", **options)
    validation = generator.flow_from_directory(f"{data}/validation", shuffle=False, **options)

    base = InceptionV3(weights=WEIGHTS, include_top=False, input_shape=(299, 299, 3))
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dense(1024, activation="relu")(x)
    x = keras.layers.Dense(len(train.class_indices), activation="softmax")(x)
    model = keras.Model(base.input, x)

    for layer in base.layers:
        layer.trainable = False
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(train, validation_data=validation, epochs=head_epochs, verbose=0)

    if finetune_epochs:
        for layer in base.layers[:freeze]:
            layer.trainable = False
        for layer in base.layers[freeze:]:
            layer.trainable = True
        sgd = keras.optimizers.SGD(learning_rate=1e-4, momentum=0.9)
        model.compile(optimizer=sgd, loss="categorical_crossentropy", metrics=["accuracy"])
        model.fit(train, validation_data=validation, epochs=finetune_epochs, verbose=0)
    model.save(path)


if __name__ == "__main__":
    data, freeze, head, finetune, path = sys.argv[1:]
    main(data, int(freeze), int(head), int(finetune), path)
