"""Keras features and scikit-learn's logistic regression, as one would write it: what `accuracy.py` compares with.

python features_and_logistic_regression.py DATA ARCH SIZE MODEL
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression

from tlkit.architectures.pretrained import build_pretrained
from tlkit.architectures.registry.lookup import get_architecture


def main(data, arch, size, path):
    base = build_pretrained(get_architecture(arch), include_top=False, size=(size, size)).model
    inputs = keras.Input((size, size, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(base(keras.layers.Rescaling(1 / 128, -127 / 128)(inputs)))
    images = keras.utils.image_dataset_from_directory(
        f"{data}/train", image_size=(size, size), batch_size=32, shuffle=False, verbose=False
    )
    labels = np.concatenate([labels for _, labels in images])
    features = keras.Model(inputs, pooled).predict(images.map(lambda pixels, _: pixels), verbose=0)
    fitted = LogisticRegression(max_iter=1000).fit(features, labels)
    kernel, bias = fitted.coef_, fitted.intercept_
    if len(kernel) == 1:  # of two classes scikit-learn has one
        kernel, bias = np.concatenate([-kernel, kernel]) / 2, np.concatenate([-bias, bias]) / 2
    head = keras.layers.Dense(len(kernel), activation="softmax")
    model = keras.Model(inputs, head(pooled))
    head.set_weights([kernel.T, bias])
    model.save(path)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    data, arch, size, path = sys.argv[1:]
    main(data, arch, int(size), path)
