# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the demo and the live tests share: private daemons, guests without an
operating system, and a supervisor that leaves nothing behind."""
