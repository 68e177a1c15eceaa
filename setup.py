"""
Builds the native kernel, ``wordecho._native``; everything else about the package is in ``setup.cfg``.

The environment variable ``WORDECHO_NATIVE`` says what happens where there is no C compiler: with ``require`` the build
fails, without it the package is built without the kernel, and Python answers. With ``skip`` (or ``0``, as at run time)
the kernel is not tried.
"""

from __future__ import annotations

import os
import sys
import sysconfig

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

WANTED = os.environ.get("WORDECHO_NATIVE", "")
if WANTED not in ("", "0", "skip", "require"):
    sys.exit(f"WORDECHO_NATIVE is require, skip (or 0), or not set when wordecho is built, not {WANTED!r}.")
HAS_STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")


class BuildKernel(build_ext):
    """Says which engine there is going to be, and has the compiler try harder than it does by itself."""

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "unix":
            for extension in self.extensions:
                extension.extra_compile_args += ["-std=c99", "-O3"]
        super().build_extensions()

    def build_extension(self, extension: Extension) -> None:
        try:
            super().build_extension(extension)
        except Exception as error:  # whatever keeps a compiler from doing its work
            if not extension.optional:
                raise
            self.warn(f"the native kernel could not be built ({error}); Python answers instead, which takes longer")


kernel = Extension(
    "wordecho._native",
    sources=["wordecho/native/replies.c"],
    depends=["wordecho/native/words.h", "wordecho/native/tables.h"],
    py_limited_api=HAS_STABLE_ABI,
    optional=WANTED != "require",
)

setup(
    ext_modules=[] if WANTED in ("0", "skip") else [kernel],
    cmdclass={"build_ext": BuildKernel},
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if HAS_STABLE_ABI else {},
)
