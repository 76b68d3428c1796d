"""The style of every dialog and panel, read once as the program starts.

Textual reads a screen's own CSS when it first opens, and all other styles again with it: a tenth
of a second, after a key.
"""

from workbench.screens.activity import ActivityScreen
from workbench.screens.branching import BranchScreen
from workbench.screens.channels import ChannelsScreen
from workbench.screens.columns import ColumnsScreen
from workbench.screens.confused import ConfusedScreen
from workbench.screens.confusion import ConfusionScreen
from workbench.screens.dialogs import HelpScreen, SaveScreen
from workbench.screens.moments import MomentsScreen
from workbench.screens.plane import PlaneScreen
from workbench.screens.recipe import RecipeScreen
from workbench.screens.reshape import ReshapeScreen
from workbench.screens.samples import SamplesScreen
from workbench.screens.search import SearchScreen
from workbench.screens.search_form import SearchForm
from workbench.screens.variants import CompareScreen, VariantsScreen

SCREENS = (
    ActivityScreen, BranchScreen, ChannelsScreen, ColumnsScreen, CompareScreen, ConfusedScreen,
    ConfusionScreen, HelpScreen, MomentsScreen, PlaneScreen, RecipeScreen, ReshapeScreen,
    SamplesScreen, SaveScreen, SearchForm, SearchScreen, VariantsScreen,
)  # fmt: skip
SHEET = "\n".join(screen.STYLE for screen in SCREENS)
