"""The recipe: every choice of a training job as one flat value, read from TOML.

A recipe is whole by itself: a pipeline that a file describes is in it as text, so that a session
or a resumed job never depends on a file that may change.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import msgspec

AtLeastTwo = Annotated[int, msgspec.Meta(ge=2)]
"""Batch norm has no variance over one image."""
Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=10)]
Above0 = Annotated[float, msgspec.Meta(gt=0, le=100)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Below1 = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Weight = Annotated[float, msgspec.Meta(ge=0, le=100)]
Augmentation = Literal["none", "shift", "light", "contest", "strong", "policy"]
BEFORE_CUT = "before-cut"
"""As a teacher: the network as it was before it was cut."""


GROUPS = {
    "run": ("epochs", "images_per_epoch", "batch_size", "seed"),
    "optimizer": (
        "optimizer", "learning_rate", "momentum", "weight_decay", "schedule", "warmup",
        "restart_epochs", "lowest_rate", "clip_norm", "ema", "amp",
    ),
    "loss and sampling": (
        "loss", "label_smoothing", "class_weights", "focal_gamma", "f1_share",
        "logit_adjustment", "arcface_scale", "arcface_margin", "auxiliary", "sampler", "dropout",
    ),
    "images": ("augmentation", "mixup", "cutmix"),
    "teachers": (
        "teachers", "teacher_weights", "temperature", "distill", "teacher_images", "features",
        "residual_of",
    ),
    "start and end": (
        "pretrain_epochs", "pretrain_data", "batch_norm", "recover_images", "short_epochs",
        "climb",
    ),
}  # fmt: skip
"""Every field, in the order in which people read them."""
HINTS = {
    "batch_size": "images a step",
    "seed": "of batches, augmentation and new layers",
    "images_per_epoch": "at least; fewer images are each used several times",
    "learning_rate": "peak of the schedule",
    "momentum": "of sgd",
    "weight_decay": "of conv and linear weights only",
    "warmup": "share of the steps in which the rate rises",
    "restart_epochs": "length of a cycle of restarts",
    "lowest_rate": "where the schedule ends, share of the peak",
    "clip_norm": "largest norm of the gradients; 0 is off",
    "ema": "exponential moving average of the weights: its decay; 0 is off",
    "amp": ": automatic mixed precision",
    "label_smoothing": "share of the target spread over all classes; 0 is off",
    "focal_gamma": "of focal: how strongly easy images are discounted; 0 is off",
    "f1_share": "of soft F1 in f1-focal",
    "logit_adjustment": "times the log frequency of the classes; 0 is off",
    "arcface_scale": "of arcface: factor of the logits",
    "arcface_margin": "of arcface: angle in radians",
    "auxiliary": "weight of classifiers on inner stages; 0 is off",
    "dropout": "before the classifier",
    "augmentation": ", or an albumentations file",
    "temperature": "of the logits of teachers and student; higher is softer",
    "mixup": "alpha; 0 is off",
    "cutmix": "alpha; 0 is off",
    "teachers": "model files, or before-cut; commas between",
    "teacher_weights": "one a teacher; empty: all alike",
    "distill": "share of the teachers in the loss",
    "residual_of": "model file to whose logits this network's are added",
    "features": "weight of the teachers' features; 0 is off",
    "pretrain_epochs": "of learning to reconstruct images first",
    "pretrain_data": "folder of images for that; empty: the training images",
    "batch_norm": ": measured at the end on plain images, or as it ran",
    "recover_images": "from which batch norm is measured anew",
    "short_epochs": "of the last rung of a recovery; 0 leaves it out",
    "climb": ": the rung to which each edit's recovery is tried by itself",
}


class RecipeError(ValueError):
    """A recipe file or value that cannot be used; the message names the field."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Choices of one training job; the defaults fine-tune a small pretrained network."""

    epochs: Positive = 25
    images_per_epoch: Count = 6000
    """At least so many: a smaller data set is gone through up to four times an epoch, augmented
    anew each time (after Hoffer et al., "Augment your batch", 2020): what it is short of is steps.
    0 goes through it once."""
    batch_size: AtLeastTwo = 64
    seed: Count = 0
    """Of batches, augmentation and new layers."""

    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Rate = 3e-3
    """Peak of the schedule."""
    momentum: Below1 = 0.9
    """Of SGD, with Nesterov's step."""
    weight_decay: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.1
    """Of conv and linear weights only."""
    schedule: Literal["cosine", "one-cycle", "restarts", "constant"] = "one-cycle"
    warmup: Below1 = 0.2
    """Share of all steps, or of each cycle of `restarts`, in which the learning rate rises."""
    restart_epochs: Positive = 5
    """Length of a cycle of `restarts`."""
    lowest_rate: Share = 0.0
    """Where a schedule ends, as a share of the peak."""
    clip_norm: Weight = 0.0
    """Largest norm of all gradients together; 0 does not clip."""
    ema: Below1 = 0.0
    """Decay of the moving average of the weights, which is what is kept; 0 keeps the last step."""
    amp: Literal["auto", "on", "off"] = "auto"
    """Mixed precision: auto where the device gains by it."""

    loss: Literal["cross-entropy", "focal", "soft-f1", "f1-focal", "arcface"] = "cross-entropy"
    label_smoothing: Below1 = 0.05
    class_weights: Literal["none", "balanced"] = "none"
    focal_gamma: Weight = 2.0
    f1_share: Share = 0.5
    """Of the soft macro F1 in `f1-focal`; the rest is focal."""
    logit_adjustment: Weight = 0.0
    """Times the log frequency of the classes added to the logits while training; 0 is off."""
    arcface_scale: Above0 = 16.0
    arcface_margin: Share = 0.3
    """Angle in radians."""
    auxiliary: Weight = 0.0
    """Weight of a classifier on each inner stage, dropped after training; 0 has none."""
    sampler: Literal["shuffle", "balanced", "root"] = "shuffle"
    """How often a class is drawn: as it occurs, all alike, or by the root of its images."""
    dropout: Below1 = 0.0
    """Before the classifier."""

    augmentation: str = "contest"
    """A preset, or an albumentations pipeline in its own serialisation, as JSON."""
    mixup: Weight = 0.0
    """Alpha of the beta distribution; 0 is off."""
    cutmix: Weight = 0.0
    """Alpha of the beta distribution; 0 is off. With mixup too, each batch gets one of them."""

    teachers: tuple[str, ...] = ()
    """Model files; `before-cut` is the network before it was cut."""
    teacher_weights: tuple[Weight, ...] = ()
    """Of each teacher in the mean of their probabilities; all alike where empty."""
    temperature: Above0 = 3.0
    distill: Share = 0.7
    """Share of the teachers' probabilities in the loss, where there are teachers."""
    teacher_images: Literal["augmented", "plain"] = "augmented"
    """What teachers look at: the student's augmented images, or the plain ones, once."""
    features: Weight = 0.0
    """Weight of the squared difference to the first teacher's features after each stage."""
    residual_of: str = ""
    """Model file of a first student: this one learns what that one lacks, and their logits are
    added wherever F1 is told. Source: Gao et al., Residual error based knowledge distillation,
    arXiv:2002.09168. For the command line: a session shows one network."""

    pretrain_epochs: Count = 0
    """Epochs in which the trunk first learns to reconstruct images, labels unseen."""
    pretrain_data: str = ""
    """A folder of images for that; the training images where empty."""

    batch_norm: Literal["auto", "plain", "running"] = "auto"
    """Statistics that are kept: measured at the end on plain training images, which are sharper
    than augmented ones and like those to come, or the running ones. With teachers these are
    better, without the others: that is auto."""

    recover_images: AtLeastTwo = 1024
    """Augmented training images from which batch norm is re-estimated."""
    short_epochs: Count = 1
    """Epochs of the short fine-tune at the end of a recovery; 0 leaves it out."""
    climb: Literal["batch norm", "fitted", "short fine-tune"] = "short fine-tune"
    """The rung of the ladder of recovery that is tried by itself after an edit."""


def load(path: Path) -> Recipe:
    """Read a recipe from a TOML file; fields left out keep their defaults.

    Raises:
        RecipeError: unreadable, not TOML, an unknown field, or a value out of range.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read recipe {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path}: {error}") from error
    try:
        return _made(values, path.parent)
    except RecipeError as error:
        raise RecipeError(f"recipe {path}: {error}") from error


def changed(recipe: Recipe, **values: object) -> Recipe:
    """The recipe with the given fields changed, None meaning unchanged.

    Raises:
        RecipeError: an unknown field or a value out of range.
    """
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return _made({**msgspec.to_builtins(recipe), **given}, Path())
    except RecipeError as error:
        raise RecipeError(f"recipe: {error}") from error


def assigned(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """The recipe after assignments as typed, `field=value`; lists are separated by commas.

    Raises:
        RecipeError: not of that form, an unknown field, or a value out of range.
    """
    values: dict[str, object] = {}
    for text in assignments:
        name, mark, value = text.partition("=")
        if not mark:
            raise RecipeError(f"recipe: {text!r} is not of the form field=value")
        values[name.strip()] = typed(name.strip(), value)
    return changed(recipe, **values)


def typed(field: str, value: str) -> object:
    """A value as typed in the type that its field has.

    Raises:
        RecipeError: no such field, or no such number.
    """
    default = getattr(Recipe(), field, None) if field in Recipe.__struct_fields__ else None
    if default is None:
        raise RecipeError(f"recipe: no field {field!r}; fields are {_fields()}")
    value = value.strip()
    try:
        if isinstance(default, tuple):
            kind = float if field == "teacher_weights" else str
            return [kind(part.strip()) for part in value.split(",") if part.strip()]
        return type(default)(value)
    except ValueError:
        number = "whole number" if isinstance(default, int) else "number"
        raise RecipeError(f"recipe: {field}: {value!r} is not a {number}") from None


def shown(recipe: Recipe, field: str) -> str:
    """A field's value as it would be typed."""
    value = getattr(recipe, field)
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def hint(field: str) -> str:
    """What a field takes or means, in a few words."""
    return ", ".join(choices(field)) + HINTS.get(field, "")


def toml(recipe: Recipe) -> str:
    """The recipe as a file that `load` reads, with what each field takes."""
    lines = []
    for group, fields in GROUPS.items():
        lines.append(f"# {group}")
        for field in fields:
            value = msgspec.json.encode(getattr(recipe, field)).decode()
            comment = f"  # {hint(field)}" if hint(field) else ""
            lines.append(f"{field} = {value}".ljust(32 if comment else 0) + comment)
        lines.append("")
    return "\n".join(lines)


def choices(field: str) -> tuple[str, ...]:
    """The words that a field takes; empty where it takes anything else."""
    if field == "augmentation":
        return get_args(Augmentation)
    hint = get_type_hints(Recipe)[field]
    return get_args(hint) if get_origin(hint) is Literal else ()


def _made(values: dict[str, object], folder: Path) -> Recipe:
    values = dict(values)
    pipeline = values.get("augmentation")
    if isinstance(pipeline, str):
        values["augmentation"] = _pipeline_text(pipeline, folder)
    try:
        recipe = msgspec.convert(values, Recipe)
    except msgspec.ValidationError as error:
        raise RecipeError(_said(error)) from error
    if recipe.teacher_weights and len(recipe.teacher_weights) != len(recipe.teachers):
        raise RecipeError(
            f"teacher_weights has {len(recipe.teacher_weights)} values for "
            f"{len(recipe.teachers)} teachers: give one each, or none"
        )
    if recipe.teacher_weights and not sum(recipe.teacher_weights) > 0:
        raise RecipeError("teacher_weights are all 0: at least one has to count")
    return recipe


def _pipeline_text(value: str, folder: Path) -> str:
    """A preset's name, or the pipeline as JSON text, read from its file where a file is named."""
    if value in get_args(Augmentation):
        return value
    if value.lstrip().startswith("{"):
        return _parsed(value.encode(), "json", "augmentation")
    suffix = Path(value).suffix.lower()
    if suffix not in (".json", ".yaml", ".yml"):
        raise RecipeError(
            f"augmentation: {value!r} is none of {', '.join(get_args(Augmentation))}, and no "
            ".json or .yaml file of a pipeline"
        )
    path = folder / Path(value).expanduser()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecipeError(f"augmentation: cannot read {path}: {error.strerror}") from error
    return _parsed(content, suffix[1:], f"augmentation {path}")


def _parsed(content: bytes, form: str, what: str) -> str:
    try:
        decode = msgspec.json.decode if form == "json" else msgspec.yaml.decode
        found = decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{what}: not {form.upper()}: {error}") from error
    if not isinstance(found, dict) or "transform" not in found:
        raise RecipeError(f"{what}: no 'transform' in it, as albumentations.to_dict writes it")
    return msgspec.json.encode(found).decode()


def _fields() -> str:
    return ", ".join(Recipe.__struct_fields__)


def _said(error: Exception) -> str:
    """An error with the values that would have been right, where they are words."""
    message = str(error)
    if "unknown field" in message:
        return f"{message}; fields are {_fields()}"
    field = message.rpartition("$.")[2].strip("`").partition("[")[0]
    words = choices(field) if field in Recipe.__struct_fields__ else ()
    return f"{message}; use {', '.join(words)}" if words else message
