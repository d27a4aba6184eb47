"""JPEG files to a file of pooled features as Keras's documentation does it: what `processes.py` measures against.

python stock_features.py FOLDER NETWORK WEIGHTS OUTPUT
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

NETWORKS = {
    "inceptionv3": (keras.applications.InceptionV3, keras.applications.inception_v3, 299),
    "resnet50": (keras.applications.ResNet50, keras.applications.resnet, 224),
    "vgg16": (keras.applications.VGG16, keras.applications.vgg16, 224),
    "mobilenet": (keras.applications.MobileNet, keras.applications.mobilenet, 224),
    "mobilenetv2": (keras.applications.MobileNetV2, keras.applications.mobilenet_v2, 224),
}


def main(folder, network, weights, output):
    build, module, side = NETWORKS[network]
    model = build(weights=weights, include_top=False, pooling="avg", input_shape=(side, side, 3))
    images = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=(side, side), batch_size=32, shuffle=False, verbose=False
    )
    np.save(output, model.predict(images.map(module.preprocess_input), verbose=0))


main(*sys.argv[1:])
