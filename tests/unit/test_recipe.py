"""Recipes: defaults, files, and refusals that name the field."""

import msgspec
import pytest

from sessions import recipe
from sessions.codec import decode_command, encode
from sessions.commands import Lineage, RunJob
from sessions.recipe import Recipe, RecipeError
from sessions.splits import Splits


@pytest.fixture
def write(tmp_path):
    def make(text):
        path = tmp_path / "recipe.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


def test_an_empty_file_is_the_default_recipe(write):
    assert recipe.load(write("")) == Recipe()


def test_a_file_changes_the_fields_it_names(write):
    text = 'epochs = 3\nlearning_rate = 1e-4\naugmentation = "strong"\nseed = 12\n'
    loaded = recipe.load(write(text))
    assert loaded == Recipe(epochs=3, learning_rate=1e-4, augmentation="strong", seed=12)


def test_every_field_can_be_set_in_a_file(write):
    wanted = Recipe(
        epochs=2, batch_size=8, seed=3, optimizer="sgd", learning_rate=0.5, momentum=0.5,
        weight_decay=0.0, schedule="restarts", warmup=0.0, restart_epochs=2, lowest_rate=0.1,
        clip_norm=1.0, ema=0.9, amp="off", loss="focal", label_smoothing=0.0,
        class_weights="balanced", focal_gamma=1.0, f1_share=0.25, logit_adjustment=1.0,
        arcface_scale=8.0, arcface_margin=0.1, auxiliary=0.5, sampler="root", dropout=0.1,
        augmentation="none", mixup=0.2, cutmix=1.0, teachers=("a.pt", "b.pt"),
        teacher_weights=(1.0, 2.0), temperature=2.0, distill=0.5, teacher_images="plain",
        features=0.5, pretrain_epochs=1, pretrain_data="photos",
        batch_norm="running", recover_images=2, short_epochs=2, climb="fitted", residual_of="c.pt",
        images_per_epoch=7,
    )  # fmt: skip
    values = msgspec.to_builtins(wanted)
    defaults = msgspec.to_builtins(Recipe())
    assert all(values[name] != defaults[name] for name in Recipe.__struct_fields__)
    lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in values.items()]
    assert recipe.load(write("\n".join(lines))) == wanted


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("epochs = 0", "epochs"),
        ("epochs = 1.5", "epochs"),
        ('epochs = "3"', "epochs"),
        ("batch_size = -4", "batch_size"),
        ("batch_size = 1", "batch_size"),
        ("learning_rate = 0", "learning_rate"),
        ("learning_rate = 11", "learning_rate"),
        ("learning_rate = nan", "learning_rate"),
        ("learning_rate = inf", "learning_rate"),
        ("weight_decay = -0.1", "weight_decay"),
        ("weight_decay = nan", "weight_decay"),
        ("weight_decay = inf", "weight_decay"),
        ("warmup = 1", "warmup"),
        ("label_smoothing = 1.0", "label_smoothing"),
        ('augmentation = "mild"', "augmentation"),
        ("recover_images = 1", "recover_images"),
        ("seed = -1", "seed"),
        ("seed = 0.5", "seed"),
        ("epoch = 3", "epoch"),
        ("[training]\nepochs = 3", "training"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(write, text, named):
    with pytest.raises(RecipeError) as caught:
        recipe.load(write(text))
    message = str(caught.value)
    assert named in message.partition("; ")[0]
    assert "\n" not in message


@pytest.mark.parametrize("text", ["epochs", "epochs = ", b"\xff\xfe", b"\x00"])
def test_a_file_that_is_not_toml_is_refused(write, text):
    with pytest.raises(RecipeError, match=r"recipe\.toml"):
        recipe.load(write(text))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="cannot read recipe"):
        recipe.load(tmp_path / "none.toml")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="cannot read recipe"):
        recipe.load(tmp_path)


def test_changed_takes_only_what_is_given():
    base = Recipe(epochs=7)
    assert recipe.changed(base, epochs=None, seed=None) == base
    assert recipe.changed(base, seed=4, batch_size=None) == Recipe(epochs=7, seed=4)


@pytest.mark.parametrize("values", [{"epochs": 0}, {"learning_rate": 11.0}, {"seed": "x"}])
def test_changed_refuses_what_a_file_may_not_say(values):
    with pytest.raises(RecipeError, match=next(iter(values))):
        recipe.changed(Recipe(), **values)


def test_a_recipe_cannot_change():
    with pytest.raises(AttributeError):
        Recipe().epochs = 3


@pytest.mark.parametrize("decay", ["0.1", "0.0", "5e-324"])
def test_a_recipe_that_loads_reaches_the_trainer_unchanged(write, decay):
    loaded = recipe.load(write(f"weight_decay = {decay}"))
    command = RunJob(
        folder="f",
        job=1,
        job_kind="fine-tune",
        lineage=Lineage("c"),
        recipe=loaded,
        data="digits",
        splits=Splits(),
    )
    assert decode_command(encode(command)) == command


def test_assignments_are_read_in_the_type_of_their_field():
    made = recipe.assigned(
        Recipe(), ["epochs=3", "learning_rate = 1e-3", "teachers=a.pt, b.pt", "teacher_weights=1,2"]
    )
    wanted = {"teachers": ("a.pt", "b.pt"), "teacher_weights": (1.0, 2.0)}
    assert made == Recipe(epochs=3, learning_rate=1e-3, **wanted)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochs", "not of the form field=value"),
        ("epoch=3", "no field 'epoch'; fields are epochs"),
        ("epochs=3.5", "'3.5' is not a whole number"),
        ("learning_rate=fast", "'fast' is not a number"),
        ("loss=hinge", "use cross-entropy, focal"),
        ("teachers=a.pt,b.pt teacher_weights=1", "1 values for 2 teachers"),
        ("teachers=a.pt teacher_weights=0", "at least one has to count"),
    ],
)
def test_assignments_that_cannot_be_are_refused(text, said):
    with pytest.raises(RecipeError, match=said):
        recipe.assigned(Recipe(), text.split(" "))


PIPELINE = '{"__version__":"2.0.0","transform":{"transforms":[]}}'


def test_a_pipeline_file_is_in_the_recipe_as_text(write, tmp_path):
    (tmp_path / "p.json").write_text(PIPELINE)
    (tmp_path / "p.yaml").write_text("__version__: 2.0.0\ntransform:\n  transforms: []\n")
    for name in ("p.json", "p.yaml"):
        assert recipe.load(write(f'augmentation = "{name}"')).augmentation == PIPELINE


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("none.json", "cannot read"),
        ("wild", "none of none, shift, light"),
        ("{}", "no 'transform'"),
        ("{", "not JSON"),
    ],
)
def test_a_pipeline_that_is_none_is_refused(write, value, said):
    with pytest.raises(RecipeError, match=said):
        recipe.load(write(f"augmentation = '{value}'"))


def test_what_is_printed_is_read_back(write):
    wanted = Recipe(epochs=3, learning_rate=1e-5, teachers=("a b.pt", 'c"d.pt'), loss="focal")
    text = recipe.toml(wanted)
    assert recipe.load(write(text)) == wanted
    assert "# cross-entropy, focal, soft-f1, f1-focal, arcface" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_every_field_is_in_one_group():
    grouped = [field for fields in recipe.GROUPS.values() for field in fields]
    assert sorted(grouped) == sorted(Recipe.__struct_fields__)
    assert set(recipe.HINTS) <= set(grouped)
