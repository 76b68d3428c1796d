"""Learning from teachers: from their probabilities, and from what their stages put out.

Sources: G. Hinton et al., Distilling the knowledge in a neural network, arXiv:1503.02531;
M. Gao et al., Residual error based knowledge distillation, arXiv:2002.09168;
S. Zagoruyko and N. Komodakis, Paying more attention to attention, arXiv:1612.03928, section 3.1.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sessions.network import Network
from sessions.recipe import Recipe
from workbench.errors import UserError
from workbench.surgery.build import State, build
from workbench.training.features import inner_stages, run_with_features
from workbench.training.images.data import Split
from workbench.training.losses import SMALLEST_NORM
from workbench.training.measuring.evaluate import BATCH, normalised
from workbench.training.measuring.folding import fold

Features = dict[str, Tensor]


class Teachers:
    """Frozen networks whose mean the student learns from.

    They take images normalised for the student, and normalise and resize them for themselves.
    """

    def __init__(
        self,
        teachers: Sequence[tuple[Network, State]],
        student: Network,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        """Build the teachers, in the recipe's order.

        Raises:
            UserError: a teacher knows other classes or images, its features do not fit, or the
                recipe asks for what plain images cannot give.
        """
        if not teachers:
            raise ValueError("no teacher")
        self.student, self.recipe, self.device = student, recipe, device
        self.networks = [network for network, _ in teachers]
        self.stages: tuple[str, ...] = ()
        """Whose outputs the student compares with the first teacher's."""
        self._check()
        given = recipe.teacher_weights or (1.0,) * len(teachers)
        self.weights = [weight / sum(given) for weight in given]
        modules = [build(*teacher).to(device).requires_grad_(False) for teacher in teachers]
        self.first = modules[0]
        # Only whole modules have features.
        self.runs = [fold(module) for module in modules]
        self.cached: Tensor | None = None
        self._latest: tuple[Tensor, Features] | None = None

    def probabilities(self, images: Tensor) -> Tensor:
        """The teachers' weighted mean at the recipe's temperature, (N, K)."""
        return self.look(images)[0]

    def look(self, images: Tensor) -> tuple[Tensor, Features]:
        """In one pass the probabilities, and the first teacher's features where they are used."""
        features: Features = {}
        parts = []
        with torch.no_grad():
            for number, (run, network) in enumerate(zip(self.runs, self.networks, strict=True)):
                has_features = number == 0 and self.stages
                if not self.weights[number] and not has_features:
                    continue
                seen = as_seen(images, self.student, network)
                if has_features:
                    logits, features = run_with_features(self.first, network, seen, self.stages)
                else:
                    logits = run(seen)
                softened = (logits.float() / self.recipe.temperature).softmax(dim=1)
                parts.append(self.weights[number] * softened)
        if features:
            self._latest = images, features
        return torch.stack(parts).sum(dim=0), features

    def loss(
        self, student_logits: Tensor, images: Tensor, where: NDArray[np.intp] | None = None
    ) -> Tensor:
        """How far the student is from the teachers.

        Args:
            images: what the student saw; not looked at where the recipe has teachers see plain
                images.
            where: for that the positions of the images in the precomputed split.
        """
        if self.recipe.teacher_images == "plain":
            assert where is not None, "plain images are looked up by where they are"
            taught = self.looked_up(where)
        else:
            taught = self.probabilities(images)
        return distillation_loss(student_logits, taught, self.recipe.temperature)

    def feature_loss(self, features: Features, images: Tensor) -> Tensor:
        """The sum over the stages of how far the student's features are from the first teacher's.

        Right after `loss` of the same images the teacher does not run again.
        """
        if self._latest is None or self._latest[0] is not images:
            self.look(images)
        assert self._latest is not None, "no features without a weight in the recipe"
        theirs = self._latest[1]
        return torch.stack([feature_distance(features[s], theirs[s]) for s in self.stages]).sum()

    def precompute(
        self,
        split: Split,
        after_batch: Callable[[int, int], bool] = lambda done, total: True,
    ) -> bool:
        """Look at every image of a split once, as it is, for `looked_up`.

        Args:
            after_batch: called with (images done, images in all); False ends it early.

        Returns:
            Whether it ran to its end.
        """
        found = []
        for start in range(0, len(split), BATCH):
            batch = split.take(slice(start, start + BATCH))
            found.append(self.probabilities(normalised(batch, self.student, self.device)))
            if not after_batch(start + len(batch), len(split)):
                return False
        self.cached = torch.cat(found)
        return True

    def looked_up(self, where: NDArray[np.intp]) -> Tensor:
        """The probabilities of images at these positions of the precomputed split."""
        assert self.cached is not None, "precompute comes first"
        return self.cached[torch.from_numpy(where).to(self.cached.device)]

    def _check(self) -> None:
        for number, network in enumerate(self.networks):
            check_same(network, self.student, self._name(number))
        if self.recipe.teacher_images == "plain":
            self._check_plain()
        if self.recipe.features:
            self._check_features()

    def _check_plain(self) -> None:
        """Nobody has asked the teachers about images that are made while training."""
        for field in ("features", "mixup", "cutmix"):
            if getattr(self.recipe, field):
                raise UserError(
                    f"{field} needs teachers that see the student's own images: set "
                    f"teacher_images=augmented, or {field}=0"
                )

    def _check_features(self) -> None:
        name = self._name(0)
        ours, theirs = inner_stages(self.student), inner_stages(self.networks[0])
        self.stages = tuple(stage for stage in ours if stage in theirs)
        if not self.stages:
            raise UserError(f"{name} has no stage of the same name as the network: set features=0")
        for stage in self.stages:
            our_size, their_size = ours[stage].out_size, theirs[stage].out_size
            if our_size != their_size:
                raise UserError(
                    f"{stage} of {name} puts out {their_size}x{their_size} pixels, the network's "
                    f"{our_size}x{our_size}: set features=0, or use a first teacher of input "
                    f"{self.student.input_size}"
                )

    def _name(self, number: int) -> str:
        named = self.recipe.teachers
        return f"teacher {named[number] if number < len(named) else number + 1}"


class FirstStudent:
    """A frozen network to whose logits a second student's are added.

    It takes images normalised for the second one.
    """

    def __init__(self, first: tuple[Network, State], second: Network, device: torch.device) -> None:
        """Build it.

        Raises:
            UserError: it knows other classes or images than the second one.
        """
        self.network, state = first
        self.second = second
        check_same(self.network, second, "residual_of: the first student")
        self.run = fold(build(self.network, state).to(device).requires_grad_(False))

    def logits(self, images: Tensor) -> Tensor:
        """Of images (N, C, S, S) as the second student takes them; (N, K)."""
        with torch.no_grad():
            return self.run(as_seen(images, self.second, self.network)).float()


def check_same(other: Network, student: Network, name: str) -> None:
    """Make sure that two networks take the same images and know as many classes.

    Raises:
        UserError: they do not.
    """
    if other.classes != student.classes:
        raise UserError(
            f"{name} has {other.classes} classes, the network {student.classes}: "
            "leave it out, or use one trained on the same classes"
        )
    if other.input_channels != student.input_channels:
        raise UserError(
            f"{name} takes images of {other.input_channels} channels, the network of "
            f"{student.input_channels}: leave it out, or use one of the same"
        )


def as_seen(images: Tensor, student: Network, other: Network) -> Tensor:
    """Images (N, C, S, S) normalised for the student, as another network takes them."""
    if (student.mean, student.std) != (other.mean, other.std):
        mean, std, new_mean, new_std = (
            torch.tensor(values, device=images.device).view(1, -1, 1, 1)
            for values in (student.mean, student.std, other.mean, other.std)
        )
        images = images * (std / new_std) + (mean - new_mean) / new_std
    size = other.input_size
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)


def distillation_loss(student_logits: Tensor, probabilities: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(teacher || student), both at the temperature; the mean over images.

    The factor keeps the gradient as large as that of the labels, whatever the temperature.
    """
    student = F.log_softmax(student_logits.float() / temperature, dim=1)
    return temperature**2 * F.kl_div(student, probabilities, reduction="batchmean")


def feature_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared difference of the attention maps of two stages' outputs; the mean over images.

    Not channel by channel: an edit may have left fewer of them, or put them in another order.
    """
    return (attention(student) - attention(teacher)).square().sum(dim=1).mean()


def attention(features: Tensor) -> Tensor:
    """Where features are strong: the mean square over channels, of length 1, (N, pixels)."""
    strength = features.float().square().mean(dim=1).flatten(1)
    return F.normalize(strength, eps=SMALLEST_NORM**2)
