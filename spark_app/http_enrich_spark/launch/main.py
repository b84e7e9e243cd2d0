"""
What `spark-submit` starts.

It stands alone in its folder, because Python puts the folder of a script first
on `sys.path`, where a neighbour could hide a module of the standard library.
"""

import sys

from http_enrich_spark.app import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
