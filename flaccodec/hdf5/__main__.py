"""Prints the directory for HDF5_PLUGIN_PATH."""

import os
import sys

from flaccodec.hdf5.filter import PLUGIN_PATH

sys.stdout.buffer.write(os.fsencode(f"{PLUGIN_PATH}\n"))  # as it is, UTF-8 or not
