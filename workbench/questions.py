"""What a live session asks its processes for the eyes alone; nothing of it is recorded."""

from sessions import history
from sessions.commands import DescribeChannels, DescribeCuts, DescribeRanks, DrawSamples
from sessions.edits import Edit
from sessions.recipe import Recipe
from workbench.session import Question, RequestError, Session


class Questions(Session):
    """Engine and trainer answer with events that no log keeps."""

    def describe_ranks(self, layer: str) -> None:
        """Ask what every rank of a layer of the current variant would keep.

        Raises:
            RequestError: the model is still opening.
        """
        variant = self.state.variant
        if variant is None:
            raise RequestError("the model is still opening")
        self._send(
            self._engine,
            DescribeRanks(
                folder=str(self.folder),
                variant=variant.number,
                lineage=history.lineage(self.state, variant.number),
                layer=layer,
            ),
        )

    def describe_cuts(self, variant: int, edits: tuple[Edit, ...]) -> None:
        """Ask what each of some edits of a variant would keep; none ends what was asked before."""
        if variant in self.state.variants:
            self._send(
                self._engine,
                DescribeCuts(
                    folder=str(self.folder),
                    variant=variant,
                    lineage=history.lineage(self.state, variant),
                    edits=edits,
                ),
            )

    def draw_samples(self, recipe: Recipe, photos: int, copies: int, edge: int) -> None:
        """Ask for training images as a recipe changes them.

        Raises:
            RequestError: no data is open.
        """
        variant, data = self.state.variant, self.state.data
        if variant is None or data is None:
            raise RequestError("no data is open: open with --data FOLDER, or --data digits")
        self._send(
            self._trainer,
            DrawSamples(
                folder=str(self.folder),
                lineage=history.lineage(self.state, variant.number),
                recipe=recipe,
                data=data.source,
                splits=self.splits,
                photos=photos,
                copies=copies,
                edge=edge,
            ),
        )

    def ask(self, question: Question) -> None:
        """Ask engine or trainer something that is not recorded."""
        child = self._engine if isinstance(question, DescribeChannels) else self._trainer
        self._send(child, question)
