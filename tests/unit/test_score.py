"""Score rules: the published figures, their presets, and rules from files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions import macs, score
from sessions.codec import decode_event, encode
from sessions.events import RuleChosen
from sessions.score import CONTEST, PRESETS, Rule, ScoreError

RATIOS = st.floats(0, 1)
COUNTS = st.integers(0, 10**12)


def rule_file(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("count", "f1", "wanted"),
    [
        (1_083_210, 0.6149, 0.3431),
        (1_688_940, 0.6220, 0.3783),
        (1_688_940, 0.5320, 0.4859),
        (1_688_940, 0.6206, 0.3800),
    ],
)
def test_published_scores(count, f1, wanted):
    assert round(CONTEST.score(count, f1), 4) == wanted


@pytest.mark.parametrize(
    ("rule", "f1", "term"),
    [
        ("contest", 0.0, 1.0),
        ("contest", 0.4999, 1.0),
        ("contest", 0.5, 1 - 0.5 / 0.8367),
        ("contest", 0.8366, 1 - 0.8366 / 0.8367),
        ("contest", 0.8367, 0.0),
        ("contest", 1.0, (1 - 1 / 0.8367) / 2),
        ("readme", 0.4999, 1.0),
        ("readme", 0.5, (1 - 0.5 / 0.8367) / 2),
        ("readme", 0.9, (1 - 0.9 / 0.8367) / 2),
        ("smooth", 0.0, 1.0),
        ("smooth", 0.4, 1 - 0.4 / 0.8342),
        ("smooth", 0.9, (1 - 0.9 / 0.8342) / 2),
    ],
)
def test_the_f1_term_of_each_preset(rule, f1, term):
    assert PRESETS[rule].f1_term(f1) == pytest.approx(term, abs=1e-12)


def test_the_smooth_preset_has_its_own_references():
    assert PRESETS["smooth"].score(13_863_553, 0.0) == 2.0
    assert PRESETS["contest"].score(13_878_369, 0.0) == 2.0


@pytest.mark.parametrize("name", PRESETS)
@given(count=COUNTS, f1=RATIOS, more=COUNTS)
def test_more_macs_never_score_better(name, count, f1, more):
    rule = PRESETS[name]
    assert rule.score(count + more, f1) >= rule.score(count, f1)


@pytest.mark.parametrize("name", PRESETS)
@given(f1=RATIOS, better=RATIOS)
def test_between_its_thresholds_a_better_f1_never_scores_worse(name, f1, better):
    rule = PRESETS[name]
    low, high = sorted((f1, better))
    if (low >= rule.cliff) == (high >= rule.cliff) and (
        (low >= rule.halved_from) == (high >= rule.halved_from)
    ):
        assert rule.f1_term(high) <= rule.f1_term(low)


@pytest.mark.parametrize(
    "unit", ["stage1.unit2", "stage2.unit2", "stage3.unit2", "stage1.unit1", "stage2.unit1"]
)
def test_a_unit_breaks_even_at_the_published_f1_loss(published, unit):
    network = published()
    counts = macs.count_layers(network)
    saved = sum(counts[layer.path] for layer in network.units[unit].layers())
    loss = CONTEST.break_even(saved)
    f1 = 0.62
    count = macs.count(network)
    assert CONTEST.score(count - saved, f1 - loss) == pytest.approx(CONTEST.score(count, f1))
    if network.units[unit].is_removable:
        assert 0.0045 < loss < 0.00595


def test_the_published_range_of_break_even():
    assert round(CONTEST.break_even(75_750), 4) == 0.0046
    assert round(CONTEST.break_even(97_740), 4) == 0.0059


@pytest.mark.parametrize("f1", [-0.1, 1.0001, 61.5, float("nan"), float("inf")])
def test_an_f1_out_of_range_is_an_error(f1):
    with pytest.raises(ScoreError, match=r"0\.\.1"):
        CONTEST.score(1, f1)


def test_negative_macs_are_an_error():
    with pytest.raises(ScoreError, match="negative"):
        CONTEST.score(-1, 0.5)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_load_by_name(name):
    assert score.load_rule(name) == PRESETS[name]
    assert PRESETS[name].name == name


def test_a_rule_loads_from_a_file(tmp_path):
    file = rule_file(tmp_path, "base_macs = 1000\nbase_f1 = 0.5\ncliff = 0.1\nhalved_from = 0.4\n")
    rule = score.load_rule(file)
    assert rule == Rule(name="mine", base_macs=1000, base_f1=0.5, cliff=0.1, halved_from=0.4)
    assert [rule.score(500, f1) for f1 in (0.05, 0.25, 0.45)] == [1.5, 1.0, pytest.approx(0.55)]


def test_a_rule_file_may_name_itself_and_leave_thresholds_out(tmp_path):
    rule = score.load_rule(rule_file(tmp_path, 'name = "ours"\nbase_macs = 10\nbase_f1 = 1\n'))
    assert rule.name == "ours"
    assert rule.score(5, 1.0) == 0.5
    assert rule.score(5, 0.0) == 1.5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "base_macs"),
        ("base_macs = 10", "base_f1"),
        ("base_macs = 0\nbase_f1 = 0.5", "above 0"),
        ("base_macs = -5\nbase_f1 = 0.5", "above 0"),
        ("base_macs = 10\nbase_f1 = 0.0", "0..1"),
        ("base_macs = 10\nbase_f1 = 1.5", "0..1"),
        ("base_macs = 10\nbase_f1 = nan", "0..1"),
        ("base_macs = 10\nbase_f1 = 'high'", "float"),
        ("base_macs = 10.5\nbase_f1 = 0.5", "int"),
        ("base_macs = 10\nbase_f1 = 0.5\nclif = 0.1", "clif"),
        ("base_macs = 10\nbase_f1 = 0.5\ncliff = nan", "cliff"),
        ("base_macs = 10\nbase_f1 = 0.5\nhalved_from = inf", "halved_from"),
        ("base_macs = 10\nbase_f1 = 0.5\nhalved_from = nan", "halved_from"),
        ("base_macs = = 10", "not a score rule"),
        ("\x00", "not a score rule"),
    ],
)
def test_a_file_that_is_no_rule_is_an_error_of_one_line(tmp_path, text, reason):
    with pytest.raises(ScoreError) as caught:
        score.load_rule(rule_file(tmp_path, text))
    assert reason in str(caught.value)
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_in_another_encoding_is_an_error(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"name = '\xff\xfe'")
    with pytest.raises(ScoreError, match="not a score rule"):
        score.load_rule(str(path))


def test_a_rule_from_a_file_can_be_recorded(tmp_path):
    event = RuleChosen(rule=score.load_rule(rule_file(tmp_path, "base_macs = 1\nbase_f1 = 0.1")))
    assert decode_event(encode(event)) == event


def test_an_unknown_rule_lists_the_presets():
    with pytest.raises(ScoreError, match="use contest, readme, smooth, or a TOML file"):
        score.load_rule("contests")


def test_a_folder_is_no_rule(tmp_path):
    with pytest.raises(ScoreError, match="no score rule"):
        score.load_rule(str(tmp_path))
