"""The one thing pyproject.toml cannot say yet: where cffi's builder is."""

from setuptools import setup

setup(cffi_modules=["csrc/build.py:ffibuilder"])
