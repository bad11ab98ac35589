"""Probes: labels, classifiers, figures and the report."""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import check_grad

from malmoi.core.errors import InvalidInput, NotFound, Unsupported
from malmoi.users.logs import History, Items, Logs
from malmoi.users.probes import Labels, floors, read_labels, render_probes, run_probes
from malmoi.users.probes.classifiers import first_weights, fit_classifier, fit_logistic, loss_of
from malmoi.users.probes.features import model_features
from malmoi.users.probes.figures import auroc, average_precision, figures_of
from malmoi.users.probes.labels import build_labels
from malmoi.users.probes.splitting import stratified


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def many(label: str, first: int, count: int) -> str:
    return "".join(f"u{number},{label}\n" for number in range(first, first + count))


USERS = [f"u{number}" for number in range(40)]


def test_labels_are_read_by_user(tmp_path: Path):
    text = "\ufeffuser,booked\n" + many("yes", 5, 12) + many("no", 20, 10) + "u0,perhaps\nx,yes\nu1,\n"
    labels = read_labels(write(tmp_path / "a.csv", text), USERS)
    assert (labels.name, labels.classes, labels.unknown, labels.rare) == (
        "booked", ("no", "yes"), 1, {"perhaps": 1},
    )  # fmt: skip
    assert labels.rows.tolist() == [*range(5, 17), *range(20, 30)]
    assert labels.label.tolist() == [1] * 12 + [0] * 10


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,booked\nu1,yes\n", "line 1: there is no column user"),
        ("user,a,b\nu1,x,y\n", "line 1: several columns"),
        ("user,a\nu1,x\nu2,x,y\n", "line 3: 3 values for 2 columns"),
        ("user,a\nu1,x\nu1,y\n", "line 3: the user 'u1' comes twice"),
        ("user,a\nu1,x\nu2,y\n", "0 labels with 10 users"),
        ("", "line 1: there is no column user"),
    ],
    ids=["no-user", "which", "ragged", "twice", "few", "empty"],
)
def test_bad_labels_name_the_line(tmp_path: Path, text: str, told: str):
    with pytest.raises(InvalidInput, match=told):
        read_labels(write(tmp_path / "a.csv", text), USERS)


def test_a_missing_file_and_a_missing_column_say_so(tmp_path: Path):
    with pytest.raises(NotFound, match=r"a\.csv"):
        read_labels(tmp_path / "a.csv", USERS)
    with pytest.raises(InvalidInput, match=r"no column 'c'.*--column: a, b"):
        read_labels(write(tmp_path / "b.csv", "user,a,b\n"), USERS, column="c")


def test_every_class_keeps_its_share():
    labels = np.array([0] * 90 + [1] * 10)
    train, test = stratified(labels, 0.3, 0)
    assert (labels[test] == 1).sum() == 3
    assert sorted([*train, *test]) == list(range(100))
    assert stratified(labels, 0.3, 0)[1].tolist() == test.tolist()


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_gradient_is_that_of_the_loss(kind: str):
    random = np.random.default_rng(0)
    x, labels = random.normal(size=(20, 4)), random.integers(0, 3, 20)
    loss = loss_of(kind, x, np.eye(3)[labels], 0.1)
    weights = first_weights("mlp", 4, 3, 0) if kind == "mlp" else random.normal(size=15)
    assert check_grad(lambda w: loss(w)[0], lambda w: loss(w)[1], weights) < 1e-5


def test_logistic_regression_ends_where_its_sum_of_losses_is_flat():
    """Targets may be chances; the penalty is that of the sum, and the intercept has none."""
    random = np.random.default_rng(0)
    x, chances = random.normal(size=(80, 3)), random.random(80)
    w, b = fit_logistic(x, chances, penalty=2.0)
    wrong = 1 / (1 + np.exp(-(x @ w + b))) - chances
    np.testing.assert_allclose(x.T @ wrong + 2.0 * w, 0, atol=1e-3)
    assert abs(wrong.sum()) < 1e-3


def test_linear_learns_a_line_and_mlp_a_circle():
    random = np.random.default_rng(0)
    x = random.normal(size=(450, 2))
    line, circle = (x[:, 0] > x[:, 1]).astype(int), ((x**2).sum(1) > 1.4).astype(int)
    scores = {}
    for kind in ("linear", "mlp"):
        for name, labels in (("line", line), ("circle", circle)):
            probe = fit_classifier(kind, x[:300], labels[:300], classes=2, seed=0)
            scores[kind, name] = (probe.chances(x[300:]).argmax(1) == labels[300:]).mean()
    assert scores["linear", "line"] > 0.97
    assert scores["linear", "circle"] < 0.7
    assert scores["mlp", "circle"] > 0.9


def slow_auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    pairs = [(p, n) for p in scores[positive] for n in scores[~positive]]
    return sum(1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs) / len(pairs)


def test_auroc_and_ap_by_hand():
    scores = np.array([0.9, 0.8, 0.8, 0.3, 0.1])
    positive = np.array([True, False, True, False, True])
    once = np.ones((1, 5))
    assert auroc(once, scores, positive)[0] == pytest.approx(slow_auroc(scores, positive))
    # 1/1 at the first, 2/3 where two come in together, 3/5 at the last
    assert average_precision(once, scores, positive)[0] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_weights_count_as_copies():
    random = np.random.default_rng(0)
    chances = random.dirichlet(np.ones(3), 12).round(1)
    labels = np.arange(12) % 3
    weights = random.integers(1, 4, (1, 12)).astype(float)
    copied = np.repeat(np.arange(12), weights[0].astype(int))
    once = np.ones((1, len(copied)))
    for name, statistic in figures_of(chances, labels).items():
        plain = figures_of(chances[copied], labels[copied])[name](once)
        assert statistic(weights)[0] == pytest.approx(plain[0]), name


def test_a_trait_that_vectors_know_is_found_and_noise_is_not():
    random = np.random.default_rng(0)
    truth = np.arange(300) % 2
    labels = Labels("booked", np.arange(300), ("no", "yes"), truth)
    vectors = {"noise": random.normal(size=(300, 3)), "known": truth[:, None] + random.normal(size=(300, 2))}
    report = run_probes(vectors, labels, kinds=["linear"], resamples=200)
    noise, known = report.rows
    assert noise.ahead is None
    assert noise.figures["auroc"].low < 0.5 < noise.figures["auroc"].high
    assert known.figures["auroc"].value > 0.7
    assert known.ahead.low > 0
    assert report.train_users + report.test_users == 300
    assert run_probes(vectors, labels, kinds=["linear"], resamples=200) == report
    table = render_probes(report)
    assert "known" in table
    assert "booked (no 150, yes 150)" in table


def small_logs() -> Logs:
    items = Items(("a", "b", "c"), ("x", "y", "z"), ("shop", "travel"), np.array([0, 0, 1], dtype=np.int16))
    return Logs(("u", "v"), items, np.array([0, 3, 3]), np.array([0, 0, 2], dtype=np.int32))


def test_floors_are_counts_and_popularity():
    found = floors(small_logs(), np.array([0, 1]))
    np.testing.assert_allclose(np.expm1(found["counts per service"]), [[2, 1, 3], [0, 0, 0]])
    assert found["popularity"][0, 2] == pytest.approx(np.log1p(2))
    assert not found["popularity"][1].any()


class Plain:
    """A recommender without vectors."""

    kind = "plain"

    def score(self, histories: list[History]) -> np.ndarray:
        return np.zeros((len(histories), 3), dtype=np.float32)


class Wise(Plain):
    """One with vectors for no task."""

    def represent(self, histories: list[History]) -> np.ndarray:
        return np.array([[len(history)] for history in histories], dtype=np.float32)


def test_vectors_for_no_task_are_preferred_and_their_want_is_told():
    assert model_features(Wise(), small_logs(), np.array([1, 0])).tolist() == [[0], [3]]
    with pytest.raises(Unsupported, match="plain gives no vectors"):
        model_features(Plain(), small_logs(), np.array([0]))


def test_few_users_of_a_label_are_told():
    labels = build_labels("x", {n: "ab"[n % 2] for n in range(20)} | {30: "c"})
    assert (labels.classes, labels.rare) == (("a", "b"), {"c": 1})
