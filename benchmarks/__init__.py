"""What measures flaccodec. docs/benchmarks.md and docs/scaling.md are made of its results.

Each room imports from rooms that stand above it in this list only (which
tests/test_project/test_benchmarks.py checks):

- ``results.py``: the form of a run's JSON file.
- ``data``: the arrays that are compressed, and the slices that are read.
- ``harness``: how things are timed and checked, and how they run in another process.
- ``contestants``: what is compared: flaccodec and others, behind one interface.
- ``measures``: what is measured, one file for each kind; ``measures.hdf5`` and
  ``measures.scaling`` have more than one.
- ``report``: the machine, targets, tables.
- ``run.py`` and ``__main__.py``: one run, and the command line.

``c`` has programs in C: libFLAC's decoder and encoder for ``contestants/libflac.py``, and what
``./dev cross`` counts instructions with.
"""
