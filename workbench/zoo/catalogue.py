"""The ShuffleNets v1 that have public weights, as facts: files, checksums, published errors.

Every width and number of groups that the paper's rule builds at 1, 3/4, 1/2 and 1/4 of its widths
is here: of the others the widths do not divide into the groups. The SHA-1 is that of the `.pth`
file itself; that of the `.zip` around it, and the sizes of both, are not published, so a transfer
is known to be good by the file inside it.

Source: github.com/osmr/imgclsmob (MIT licence), pytorch/pytorchcv/models/model_store.py for
releases and checksums, and the ImageNet-1K table of pytorch/README.md for the errors (of the
PyTorch files, at 224 pixels), parameters and multiply-adds.
"""

import difflib

import msgspec

from sessions.network import Network
from workbench.errors import UserError
from workbench.surgery.families import shufflenet

BASE_URL = "https://github.com/osmr/imgclsmob/releases/download"
IMAGENET_CLASSES = 1000


class Published(msgspec.Struct, frozen=True):
    """One network with public weights."""

    name: str
    groups: int
    width: float
    """Factor of the paper's widths."""
    top1_error: float
    """On ImageNet-1K, per cent."""
    top5_error: float
    params: int
    million_macs: float
    """As published: half of that project's FLOPs, which count batch norm (4 x input), ReLU,
    shuffles and each value under a pool as well. No convention of `sessions/macs.py` is that."""
    release: str
    sha1: str

    @property
    def file_name(self) -> str:
        """As the project names it: the top-5 error in 1/100 of a per cent, and 8 hex digits."""
        return f"{self.name}-{round(self.top5_error * 100):04d}-{self.sha1[:8]}.pth"

    @property
    def archive_name(self) -> str:
        """The zip of the release, with that file alone in it."""
        return f"{self.file_name}.zip"

    def url(self, base: str = BASE_URL) -> str:
        """Where the archive is, below this address or that of a mirror with the same folders."""
        return f"{base.rstrip('/')}/{self.release}/{self.archive_name}"

    def network(self, classes: int = IMAGENET_CLASSES) -> Network:
        """Its structure, at 224 pixels."""
        return shufflenet.fresh(self.groups, self.width, classes=classes)


PUBLISHED = {
    found.name: found
    for found in (
        Published(
            "shufflenet_g1_wd4", 1, 0.25, 62.44, 37.29, 209_746, 12.35,
            "v0.0.134", "47dbd0f279da6d3056079bb79ad39cabbb3b9415",
        ),
        Published(
            "shufflenet_g3_wd4", 3, 0.25, 61.74, 36.53, 305_902, 13.09,
            "v0.0.135", "6abdd65e087e71f80345415cdf7ada6ed2762d60",
        ),
        Published(
            "shufflenet_g1_wd2", 1, 0.5, 46.59, 22.61, 534_484, 41.16,
            "v0.0.174", "dae4bdadd7d48bee791dff2a08cd697cff0e9320",
        ),
        Published(
            "shufflenet_g3_wd2", 3, 0.5, 44.16, 20.80, 718_324, 41.70,
            "v0.0.167", "ccaacfc8d9ac112c6143269df6e258fd55b662a7",
        ),
        Published(
            "shufflenet_g1_w3d4", 1, 0.75, 39.58, 17.11, 975_214, 86.42,
            "v0.0.218", "161cd24aa0b2e2afadafa69b44a28af222f2ec7a",
        ),
        Published(
            "shufflenet_g3_w3d4", 3, 0.75, 38.20, 16.50, 1_238_266, 85.82,
            "v0.0.219", "3f3b0aef0ce3174c78ff42cf6910c6e34540fc41",
        ),
        Published(
            "shufflenet_g1_w1", 1, 1.0, 34.93, 13.89, 1_531_936, 148.13,
            "v0.0.223", "4cfb65a30761fe548e0b5afbb5d89793ec41e4e9",
        ),
        Published(
            "shufflenet_g2_w1", 2, 1.0, 34.25, 13.63, 1_733_848, 147.60,
            "v0.0.241", "07256203e217a7b31f1c69a5bd38a6674bce75bc",
        ),
        Published(
            "shufflenet_g3_w1", 3, 1.0, 34.39, 13.48, 1_865_728, 145.46,
            "v0.0.244", "ce54f64ecff87556a4303380f46abaaf649eb308",
        ),
        Published(
            "shufflenet_g4_w1", 4, 1.0, 34.19, 13.35, 1_968_344, 143.33,
            "v0.0.245", "e2415f8270a4b6cbfe7dc97044d497edbc898577",
        ),
        Published(
            "shufflenet_g8_w1", 8, 1.0, 34.06, 13.42, 2_434_768, 150.76,
            "v0.0.250", "9a979b365424addba75c559a61a77ac7154b26eb",
        ),
    )
}  # fmt: skip
"""By name, the smallest first."""
_BY_SHA1 = {found.sha1: found for found in PUBLISHED.values()}


def named(name: str) -> Published:
    """The network of a name.

    Raises:
        UserError: there is none; the message tells the nearest name.
    """
    if name in PUBLISHED:
        return PUBLISHED[name]
    close = difflib.get_close_matches(name, PUBLISHED, 1)
    hint = f"did you mean {close[0]}?" if close else "`workbench zoo list` names them all"
    raise UserError(f"no network {name!r} in the zoo: {hint}")


def of_sha1(sha1: str) -> Published | None:
    """The network whose published file has this checksum, hex digits."""
    return _BY_SHA1.get(sha1)
