"""Asks the questions of docs/columns.md of DuckDB, Polars and, where it is there, Spark SQL, and holds the answers together.

    python check.py ROWS.parquet CONNECTIONS.parquet
"""

import re
import sys
from pathlib import Path

import duckdb
import polars

PAGE = Path(__file__).resolve().parents[2] / "docs" / "columns.md"


def recipes(language: str) -> list[str]:
    """The code blocks of a language, in the order of the page."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.S)


def main() -> int:
    rows, connections = sys.argv[1:3]
    files = {"'rows.parquet'": f"'{rows}'", "'connections.parquet'": f"'{connections}'"}

    def filled(text: str) -> str:
        for name, path in files.items():
            text = text.replace(name, path).replace(name.replace("'", '"'), path)
        return text

    sql = recipes("sql")
    assert len(sql) == 3, len(sql)
    answers = [duckdb.sql(filled(text)).fetchall() for text in sql]
    for text, answer in zip(sql, answers):
        print(text.splitlines()[0], answer[:3])
        assert answer, text
    scripts = recipes("python")
    assert len(scripts) == 3, len(scripts)
    for text, answer in zip(scripts, answers):
        names = {"pl": polars}
        exec(filled(text), names)
        assert names["answer"].rows() == answer, (names["answer"], answer)
    print("Polars: the same")
    spark = recipes("sparksql")
    assert len(spark) == 3, len(spark)
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        print("Spark SQL: not tried, pyspark is not there")
        return 0
    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    session.read.parquet(rows).createOrReplaceTempView("segments")
    session.read.parquet(connections).createOrReplaceTempView("connections")
    for text, answer in zip(spark, answers):
        found = [tuple(row) for row in session.sql(text).collect()]
        assert found == answer, (found, answer)
    session.stop()
    print("Spark SQL: the same")
    return 0


if __name__ == "__main__":
    sys.exit(main())
