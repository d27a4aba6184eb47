from tlkit.architectures.imagenet import imagenet_classes


def test_the_classes_are_those_of_keras():
    classes = imagenet_classes()
    assert len(classes) == len({wnid for wnid, _ in classes}) == 1000
    assert [wnid for wnid, _ in classes] == sorted(wnid for wnid, _ in classes)
    # from Keras's imagenet_class_index.json
    expected = {
        0: "tench",
        285: "Egyptian_cat",
        386: "African_elephant",
        134: "crane",
        517: "crane",
        999: "toilet_tissue",
    }
    assert {index: classes[index].name for index in expected} == expected
    assert classes[386].wnid == "n02504458"
