"""The documentation's build: `make docs`."""

import sys
from pathlib import Path

import runguard
from runguard._version import __version__

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "runguard"
author = "the runguard developers"
project_copyright = "the runguard developers, MIT licence"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated"]
exclude_patterns = ["_extensions"]
smartquotes = False  # `--option` in the help of a command is no dash
nitpicky = False  # the types of SQLAlchemy and structlog have no page here: the build is offline

html_theme = "furo"
html_title = f"runguard {__version__}"
html_static_path = []
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

# A word in single backticks in a docstring is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

if not runguard.__file__.startswith(str(HERE.parent)):
    raise RuntimeError(f"expected runguard of this source tree, found {runguard.__file__}")
