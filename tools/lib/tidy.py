# SPDX-License-Identifier: LGPL-2.1-or-later
"""clang-tidy for tools/check: tidy.py BUILD"""

import sys

from lab.tidy import Tidy

if __name__ == "__main__":
    sys.exit(Tidy(sys.argv[1]).run())
