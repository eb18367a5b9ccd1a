"""The trainer: what it learns, holds out, leaves on disk, and goes on with."""

import numpy as np
import pytest

import arcos

CLASSES, DIMENSION = 6, 12


def rows(count, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    centres = np.random.default_rng(0).normal(size=(CLASSES, DIMENSION))
    return (centres[labels] + 0.5 * rng.normal(size=(count, DIMENSION))).astype(np.float32), labels


def trainer(**settings):
    return arcos.Trainer(arcos.heads.ArcFace(scale=8, margin=0.1), *rows(120, 1), **settings)


def test_a_run_learns_and_its_model_predicts_labels_as_they_were_given():
    features, numbers = rows(120, 1)
    test_features, test_numbers = rows(60, 2)
    for names in (None, np.array(["owl", "auk", "jay", "tit", "emu", "ibis"]), 10 * np.arange(6) - 7):
        labels, test_labels = (n if names is None else names[n] for n in (numbers, test_numbers))
        run = arcos.Trainer(
            arcos.heads.AdaCos(), features, labels, test=(test_features, test_labels), epochs=20, seed=3,
            optimizer=arcos.optim.AdamW(0.01), transform="standardise",
        )
        history = run.run()
        assert [record["epoch"] for record in history] == list(range(1, 21)) and run.is_done
        assert history[-1]["train_loss"] < history[0]["train_loss"]
        assert history[-1]["learning_rate"] == 0.01 and history[-1]["validation_loss"] is None
        model = run.model
        assert list(model.classes) == sorted(set(labels.tolist())) and model.head_name == "adacos"
        predicted = model.predict(test_features)
        assert predicted.dtype.kind == labels.dtype.kind
        accuracy = (predicted == test_labels).mean()
        assert accuracy > 0.9 and history[-1]["test_accuracy"] == pytest.approx(accuracy)
        evaluation = model.evaluate(test_features, test_labels)
        assert evaluation["rows"] == 60 and evaluation["accuracy"] == pytest.approx(accuracy)
        # Of few logits: the definition.
        logits = model.logits(test_features).astype(float)
        probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        likeliest, of_likeliest = model.likeliest(test_features, 3)
        order = np.argsort(-logits, axis=1)[:, :3]
        assert (likeliest == np.array(model.classes)[order]).all() and (likeliest[:, 0] == predicted).all()
        np.testing.assert_allclose(of_likeliest, np.take_along_axis(probabilities, order, 1), rtol=1e-5)


def test_the_same_seed_gives_the_same_bits_and_resuming_changes_none(tmp_path):
    settings = {"epochs": 4, "seed": 5, "embed": 5, "penalties": ["center-loss:0.01"], "schedule": "cosine"}
    whole = trainer(**settings)
    records = whole.run()
    seen = []

    def on_epoch(record):
        seen.append(record["epoch"])
        return record["epoch"] < 2

    part = trainer(**settings)
    assert len(part.run(on_epoch)) == 2 and not part.is_done and seen == [1, 2]
    part.save(tmp_path / "part")
    resumed = arcos.Trainer.resume(tmp_path / "part", *rows(120, 1))
    assert len(resumed.run()) == 4
    for found, expected in zip(resumed.history, records):
        assert found["train_loss"] == expected["train_loss"]
    expected = whole.model.parameters.weights
    assert (resumed.model.parameters.weights == expected).all() and expected.shape == (CLASSES, 5)
    resumed.save(tmp_path / "whole")
    loaded = arcos.Model.load(tmp_path / "whole")
    assert (loaded.parameters.weights == expected).all() and loaded.classes == list(range(CLASSES))
    features, _ = rows(7, 4)
    assert (loaded.embeddings(features) == whole.model.embeddings(features)).all()
    file = loaded.to_onnx(top=2)
    assert isinstance(file, bytes) and b"top_classes" in file and b"top_classes" not in loaded.to_onnx()
    with pytest.raises(ValueError, match="top is 7; expected 1 to 6"):
        loaded.to_onnx(7)
    other, labels = rows(120, 8)
    with pytest.raises(ValueError, match="features"):
        arcos.Trainer.resume(tmp_path / "part", other, labels)


def test_validation_rows_choose_the_model_and_a_temperature():
    run = trainer(validation=0.2, epochs=30, patience=3, optimizer=arcos.optim.SGD(0.5))
    history = run.run()
    accuracies = [record["validation_accuracy"] for record in history]
    assert len(history) < 30 and all(record["validation_loss"] is not None for record in history)
    best = max(range(len(history)), key=lambda e: (accuracies[e], -history[e]["validation_loss"]))
    assert len(history) == best + 1 + 3
    validation = rows(60, 9)
    run = trainer(validation=validation, epochs=2)
    history = run.run()
    evaluation = run.model.evaluate(*validation)
    best = max(history, key=lambda record: (record["validation_accuracy"], -record["validation_loss"]))
    assert evaluation["loss"] == pytest.approx(best["validation_loss"], rel=1e-6)
    assert run.model.temperature is None or run.model.temperature > 0


def test_features_stay_in_their_file(tmp_path):
    features, labels = rows(120, 1)
    np.save(tmp_path / "features.npy", features)
    from_file = arcos.Trainer(arcos.heads.AdaCos(), tmp_path / "features.npy", labels, epochs=2)
    in_memory = arcos.Trainer(arcos.heads.AdaCos(), features, labels, epochs=2)
    from_file.run(), in_memory.run()
    assert (from_file.model.parameters.weights == in_memory.model.parameters.weights).all()
    assert (from_file.model.predict(str(tmp_path / "features.npy")) == in_memory.model.predict(features)).all()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"epoch": 3}, TypeError, "no keyword is called epoch; expected batch_size"),
        ({"epochs": 0}, ValueError, "epochs is 0; expected at least 1"),
        ({"transform": "center"}, ValueError, "transform is \"center\"; expected"),
        ({"dropout": 0.1}, TypeError, "dropout is given; expected embed_block"),
        ({"penalties": ["triplet:1:margin=0.3"]}, ValueError, "expected an embedder beside it"),
        ({"penalties": ["intro"]}, ValueError, "penalty is intro; expected"),
        ({"class_weights": "inverted"}, ValueError, "class weights is inverted; expected"),
        ({"validation": 2.0}, ValueError, "the share of validation rows is 2"),
        ({"patience": 2}, ValueError, "patience is 2; expected none without validation rows"),
        ({"test": (np.ones((2, 3)), [0, 1])}, ValueError, "features"),
        ({"test": (np.ones((1, DIMENSION)), [77])}, ValueError, "labels"),
        ({"sample_weights": [-1.0] * 120}, ValueError, "sample_weights"),
    ],
)
def test_what_is_wrong_is_said(settings, error, message):
    with pytest.raises(error, match=message):
        trainer(**settings)


def test_labels_of_another_type_are_refused():
    features, labels = rows(12, 1)
    with pytest.raises(TypeError, match="labels has type float64; expected whole numbers or strings"):
        arcos.Trainer(arcos.heads.AdaCos(), features, labels.astype(float))
    with pytest.raises(ValueError, match="cannot read nowhere"):
        arcos.Model.load("nowhere")


def candidates(scales):
    return [(arcos.heads.NormSoftmax(scale=scale), {"epochs": 2, "transform": "none"}) for scale in scales]


def test_a_search_tries_fewer_on_more_folds_and_chooses_the_simplest_of_the_best():
    features, labels = rows(120, 1)
    trials = []
    found = arcos.tune(
        candidates([0.001, 8, 16]), features, labels, folds=3, repeats=1, halving=2, on_trial=trials.append
    )
    assert not found["is_stopped"] and [score["splits"] for score in found["scores"]] == [3, 2, 1]
    assert len(trials) == 6 and all(trial["rows"] == 40 for trial in trials)
    for score in found["scores"]:
        of_candidate = [trial["right"] / 40 for trial in trials if trial["candidate"] == score["candidate"]]
        assert score["accuracy"] == pytest.approx(np.mean(of_candidate)) and score["failed"] == 0
    best = found["scores"][0]
    assert best["standard_error"] >= 0 and found["chosen"] == best["candidate"]


def test_a_search_stops_when_it_is_told_to():
    features, labels = rows(120, 1)
    found = arcos.tune(candidates(range(1, 9)), features, labels, on_trial=lambda trial: False)
    assert found["is_stopped"] and 1 <= len(found["scores"]) < 8

    def fails(trial):
        raise KeyError(trial["split"])

    with pytest.raises(KeyError):
        arcos.tune(candidates([1, 2]), features, labels, on_trial=fails)
    with pytest.raises(ValueError, match="trials is 0; expected at least one before the search is stopped"):
        arcos.tune(candidates([1, 2]), features, labels, budget=0)
    with pytest.raises(ValueError, match="folds is 1; expected at least 2"):
        arcos.tune(candidates([1]), features, labels, folds=1)
    with pytest.raises(TypeError, match="no keyword is called epoch"):
        arcos.tune([(arcos.heads.Softmax(), {"epoch": 1})], features, labels)
