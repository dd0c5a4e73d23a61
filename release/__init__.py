"""Makes what a release consists of: see build.sh. No part of the installed program."""
