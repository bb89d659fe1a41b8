"""Importing this compiles the packaged templates: processes that are forked afterwards have their code."""

from relay.config.template_files import load_packaged
from relay.rendering.library import TemplateLibrary

TemplateLibrary({}, load_packaged()).compile_default()
