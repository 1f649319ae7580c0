"""Settings of the documentation. The build needs no network."""

import liquidrnn

project = "liquidrnn"
author = "The liquidrnn developers"
copyright = "The liquidrnn developers"
version = release = liquidrnn.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
# Single backquotes in docstrings are code, as in Markdown.
default_role = "code"
included = [f"results/{name}.md" for name in ("speed/scaling", "speed/rivals", "speed/revisions", "speed/tables")]
included += ["results/speed/avx2/*.md", "results/icu/tables.md", "results/objectives/*.md", "results/theory/*.md"]
exclude_patterns = [*included, "_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"liquidrnn {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
