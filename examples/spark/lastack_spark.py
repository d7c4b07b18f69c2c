"""Many captures, one report: lastack on Apache Spark.

    spark-submit lastack_spark.py --lastack ./lastack --work s3a://bucket/work --out report CAPTURE...

Five stages. Workers run `lastack` as a process of their own and hand it rows through pipes; nothing is collected but
facts, fragments and the few rows that tell which captures go on with one another.

1. extract  each capture, or range of a big one, becomes rows (Parquet in the work folder);
2. plan     which captures are one rotated set, and how frames are counted in it, from a few rows: on the driver;
3. deal     rows are dealt out by socket pair, heavy pairs apart from the others, each hand sorted by point and frame;
4. track    each hand becomes one part of the evidence;
5. merge    parts become one report: on the driver.

A task that fails is run again by Spark. Tasks give rows and parts to Spark alone, which commits those of one attempt.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pyarrow as pa
from pyarrow import fs as arrow_fs
from pyspark import SparkFiles
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

# Kinds of rows, as docs/columns.md has them.
FRAGMENT, FRONT, FACTS = 3, 4, 5
# Octets behind a range in which its last record may end, and in front of a file in which its header lies.
BEYOND, HEAD = 32 << 20, 1 << 20
PART = pa.schema([("hand", pa.int32()), ("piece", pa.int32()), ("octets", pa.binary())])
PIECE = 64 << 20


def main() -> int:
    options = arguments()
    spark = SparkSession.builder.appName("lastack").getOrCreate()
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "65536")
    # Hands are sorted and kept whole: neither merged nor split on the way.
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    lastack = Lastack(spark, options.lastack)
    captures = listed(options.captures)
    work = options.work.rstrip("/")
    rows_at = f"{work}/rows"
    if not options.reuse_rows:
        extract(spark, lastack, captures, options.range_mib << 20).write.mode("overwrite").parquet(rows_at)
    rows = spark.read.parquet(rows_at)
    with tempfile.TemporaryDirectory(prefix="lastack-") as folder:
        planned = plan(spark, lastack, rows, captures, Path(folder))
        hands = options.hands or max(2 * spark.sparkContext.defaultParallelism, 1)
        parts = track(deal(spark, rows, planned, hands), lastack)
        parts.write.mode("overwrite").parquet(f"{work}/parts")
        merge(lastack, fetch(spark, f"{work}/parts", Path(folder)), planned.inputs, options)
    spark.stop()
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="+", help="captures or folders: local, hdfs://… or s3://…")
    parser.add_argument("--lastack", required=True, help="the binary; it is sent to the workers")
    parser.add_argument("--work", required=True, help="a folder that driver and workers share")
    parser.add_argument("--out", default="lastack-report", help="the report's folder, on the driver")
    parser.add_argument("--range-mib", type=int, default=1024, help="captures that are larger are read in ranges")
    parser.add_argument("--hands", type=int, default=0, help="parts that rows are dealt into; 0: two for each core")
    parser.add_argument("--reuse-rows", action="store_true", help="the rows of an earlier run, which was interrupted")
    parser.add_argument("--snapshots", nargs="*", default=[], help="what hosts say of themselves: for the merge")
    parser.add_argument("--option", action="append", default=[], help="one more for the merge, as in --option=--msl=60")
    return parser.parse_args()


class Lastack:
    """The binary, wherever a task runs."""

    def __init__(self, spark: SparkSession, path: str):
        self.path, self.name = str(Path(path).resolve()), Path(path).name
        spark.sparkContext.addFile(self.path)

    def here(self) -> str:
        sent = SparkFiles.get(self.name)
        if not os.access(sent, os.X_OK):
            os.chmod(sent, 0o755)
        return sent


# --- what is to be read ---------------------------------------------------------------------------------------------


def listed(arguments: list[str]) -> list[tuple[str, int, bool]]:
    """Name, length, and whether it may be read in ranges, in the order in which `lastack` would read them."""
    found = []
    for argument in arguments:
        system, path = where(argument)
        info = system.get_file_info(path)
        if info.type == arrow_fs.FileType.Directory:
            inside = system.get_file_info(arrow_fs.FileSelector(path, recursive=True))
            files = sorted((one for one in inside if one.is_file), key=lambda one: one.path.split("/"))
            found += [(argument.rstrip("/") + one.path[len(path.rstrip("/")) :], one) for one in files]
        elif info.is_file:
            found.append((argument, info))
        else:
            sys.exit(f"{argument}: not found")
    return [(name, info.size, is_plain(name)) for name, info in found]


def where(address: str) -> tuple[arrow_fs.FileSystem, str]:
    if "://" not in address:
        return arrow_fs.LocalFileSystem(), os.path.abspath(address)
    return arrow_fs.FileSystem.from_uri(address.replace("s3a://", "s3://", 1))


def absolute(address: str) -> str:
    """For workers, which run in folders of their own."""
    return address if "://" in address else os.path.abspath(address)


def is_plain(name: str) -> bool:
    """Whether the first octets are those of a capture, and not of something packed."""
    system, path = where(name)
    with system.open_input_stream(path) as stream:
        head = stream.read(4)
    pcap = {b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"}
    return head in pcap or head == b"\x0a\x0d\x0d\x0a" or head == b"snoo"


# --- extract --------------------------------------------------------------------------------------------------------


def extract(spark: SparkSession, lastack: Lastack, captures, range_length: int) -> DataFrame:
    jobs = []
    for name, size, plain in captures:
        if plain and size > range_length:
            jobs += [(name, absolute(name), size, first, range_length) for first in range(0, size, range_length)]
        else:
            jobs.append((name, absolute(name), size, 0, -1))
    ask = subprocess.run([lastack.path, "extract", "--format", "arrow", "--schema"], stdout=subprocess.PIPE, check=True)
    schema = pa.ipc.open_stream(ask.stdout).schema
    # One task a job: what is tried again is one range.
    tasks = spark.sparkContext.parallelize(jobs, len(jobs))
    columns = "name string, address string, size long, first long, length long"
    tasks = spark.createDataFrame(tasks, columns)
    return tasks.mapInArrow(lambda batches: extracted(lastack, batches), from_arrow_schema(schema))


def extracted(lastack: Lastack, batches):
    for batch in batches:
        for job in batch.to_pylist():
            yield from rows_of(lastack, **job)


def rows_of(lastack: Lastack, name: str, address: str, size: int, first: int, length: int):
    command = [lastack.here(), "extract", "--format", "arrow", "--threads", "1", "--name", name]
    system, path = where(address)
    local = isinstance(system, arrow_fs.LocalFileSystem)
    if length >= 0:
        command += ["--range", f"{first}:{length}"]
    if local:
        yield from run(command + [path])
    elif length < 0:
        yield from run(command + ["-"], lambda stdin: copy(system, path, stdin))
    else:
        with tempfile.NamedTemporaryFile(prefix="lastack-") as sparse:
            # Of a big object only the range, and the head that describes it, are there: the rest are holes.
            sparse.truncate(size)
            with system.open_input_file(path) as source:
                for at, many in [(0, HEAD), (first, length + BEYOND)]:
                    fill(source, sparse, at, min(many, size - at))
            sparse.flush()
            yield from run(command + [sparse.name])


def fill(source, sparse, at: int, many: int):
    while many > 0:
        octets = source.read_at(min(many, 8 << 20), at)
        if not octets:
            return
        sparse.seek(at)
        sparse.write(octets)
        at, many = at + len(octets), many - len(octets)


def copy(system, path: str, stdin):
    # Compressed objects as they are: lastack unpacks them.
    with system.open_input_stream(path, compression=None) as source:
        shutil.copyfileobj(source, stdin, 1 << 20)


def run(command: list[str], feed=None):
    """Runs a process, gives the Arrow batches that it writes, and fails as it does."""
    with tempfile.TemporaryFile() as complaints:
        stdin = subprocess.PIPE if feed else subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=complaints)
        feeder = threading.Thread(target=fed, args=(process, feed), daemon=True) if feed else None
        try:
            if feeder:
                feeder.start()
            try:
                yield from pa.ipc.open_stream(process.stdout)
            except pa.ArrowInvalid:
                pass  # it ended early, and says why
            if feeder:
                feeder.join()
            settle(process, command, complaints)
        finally:
            process.kill()
            process.wait()


def fed(process, feed):
    try:
        feed(process.stdin)
    except BrokenPipeError:
        pass  # the process says why
    finally:
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass


def settle(process, command, complaints):
    if process.wait() != 0:
        complaints.seek(0)
        why = complaints.read().decode(errors="replace").strip()
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}: {why}")


# --- plan -----------------------------------------------------------------------------------------------------------


class Planned:
    def __init__(self, ranges: list[dict], joined: pa.Table, inputs: Path):
        self.ranges, self.joined, self.inputs = ranges, joined, inputs


def plan(spark: SparkSession, lastack: Lastack, rows: DataFrame, captures, folder: Path) -> Planned:
    """Asks `lastack` how captures go together, with facts, fragments, and the rows of the pairs that fronts name."""
    fronts = rows.where(F.col("kind") == FRONT).select("file", "facts").collect()
    pairs = sorted({pair for front in fronts for pair in json.loads(front.facts)["pairs"]})
    few = rows.where(F.col("kind") >= FRAGMENT)
    if pairs and len(captures) > 1:
        known = F.broadcast(spark.createDataFrame([(pair,) for pair in pairs], "pair int"))
        few = few.unionByName(rows.where(F.col("kind") < FRAGMENT).join(known, "pair", "left_semi").select(rows.columns))
    order = {name: number for number, (name, _, _) in enumerate(captures)}
    names = {row.file: json.loads(row.facts)["name"] for row in rows.where(F.col("kind") == FACTS).select("file", "facts").collect()}
    (folder / "few").mkdir()
    schema = None
    writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
    # Fronts come before rows, rows in their order, facts last.
    rank = F.when(F.col("kind") == FRONT, -1).when(F.col("kind") == FACTS, 1).otherwise(0)
    few = few.orderBy("file", "from", rank, "frame", "piece")
    for batch in few.toArrow().to_batches(max_chunksize=65536):
        schema = schema or batch.schema
        for file in sorted(set(batch.column("file").to_pylist())):
            if file not in writers:
                # Members of archives follow the archive that they are in.
                place = next((n for name, n in order.items() if names[file] == name or names[file].startswith(name + "!")), 0)
                path = folder / "few" / f"{place:09}-{names[file].replace('/', '_')[-100:]}-{file}.arrow"
                writers[file] = pa.ipc.new_stream(str(path), schema)
            writers[file].write_table(pa.Table.from_batches([batch]).filter(pa.compute.equal(batch.column("file"), file)))
    for writer in writers.values():
        writer.close()
    made = folder / "plan"
    command = [lastack.path, "analyze", "--quiet", "--from", "arrow", "--emit", "plan", "--out", str(made), str(folder / "few")]
    subprocess.run(command, check=True)
    ranges = [json.loads(line) for line in (made / "plan.jsonl").read_text().splitlines()]
    with pa.ipc.open_stream(str(made / "joined.arrow")) as stream:
        joined = stream.read_all()
    return Planned(ranges, joined, made / "inputs.part")


# --- deal and track -------------------------------------------------------------------------------------------------


def deal(spark: SparkSession, rows: DataFrame, planned: Planned, hands: int) -> DataFrame:
    """Rows by socket pair, with their frames counted at the capture point."""
    ranges = [(r["file"], r["from"], r["input"], r["point"], r["base"]) for r in planned.ranges]
    ranges = F.broadcast(spark.createDataFrame(ranges, "file long, from long, input int, point int, base long"))
    rows = rows.where(F.col("kind") < FRAGMENT)
    if planned.joined.num_rows:
        table = planned.joined
        for name in ["src", "dst"]:
            table = table.set_column(table.schema.get_field_index(name), name, table.column(name).cast(pa.binary()))
        rows = rows.unionByName(spark.createDataFrame(table).select(rows.columns))
    rows = rows.join(ranges, ["file", "from"]).withColumn("frame", F.col("frame") + F.col("base")).drop("base")
    heavy = heavy_pairs(rows, hands)
    hand = F.pmod(F.xxhash64("pair"), F.lit(hands)).cast("int")
    if heavy:
        # A pair that fills a hand has it for itself; the others are dealt out behind.
        known = F.broadcast(spark.createDataFrame(list(heavy.items()), "pair int, own int"))
        others = len(heavy) + F.pmod(F.xxhash64("pair"), F.lit(hands)).cast("int")
        rows = rows.join(known, "pair", "left")
        hand, hands = F.coalesce("own", others), hands + len(heavy)
    dealt = rows.withColumn("hand", hand).drop("own")
    return dealt.repartitionById(hands, "hand").sortWithinPartitions("point", "frame", "piece")


def heavy_pairs(rows: DataFrame, hands: int) -> dict[int, int]:
    """Pairs that are more than a hand's share of all rows: there are fewer of them than hands."""
    count = rows.groupBy("pair").count()
    most = rows.count() / hands
    heavy = count.where(F.col("count") > most).orderBy(F.desc("count"), "pair").collect() if most else []
    return {row.pair: own for own, row in enumerate(heavy)}


def track(dealt: DataFrame, lastack: Lastack) -> DataFrame:
    return dealt.mapInArrow(lambda batches: tracked(lastack, batches), from_arrow_schema(PART))


def tracked(lastack: Lastack, batches):
    """One part of the evidence for a hand, in pieces that Spark can carry."""
    first = next((batch for batch in batches if batch.num_rows), None)
    if first is None:
        return
    hand = first.column("hand")[0].as_py()

    def feed(stdin):
        with pa.ipc.new_stream(stdin, first.schema) as stream:
            stream.write_batch(first)
            for batch in batches:
                stream.write_batch(batch)

    command = [lastack.here(), "analyze", "--quiet", "--threads", "1", "--from", "arrow", "--emit", "part", "-"]
    with tempfile.TemporaryFile() as complaints, tempfile.TemporaryFile() as part:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=part, stderr=complaints)
        try:
            # Spark's rows come from this thread, so that it is this one that feeds.
            fed(process, feed)
            settle(process, command, complaints)
        finally:
            process.kill()
            process.wait()
        part.seek(0)
        for number in range(1 << 30):
            octets = part.read(PIECE)
            if not octets:
                return
            yield pa.record_batch([[hand], [number], [octets]], schema=PART)


# --- merge ----------------------------------------------------------------------------------------------------------


def fetch(spark: SparkSession, address: str, folder: Path) -> Path:
    parts = folder / "parts"
    parts.mkdir()
    for row in spark.read.parquet(address).orderBy("hand", "piece").toLocalIterator():
        with open(parts / f"{row.hand:06}.part", "ab") as part:
            part.write(row.octets)
    return parts


def merge(lastack: Lastack, parts: Path, inputs: Path, options: argparse.Namespace):
    command = [lastack.path, "merge", "--out", options.out, *options.option, str(inputs), str(parts), *options.snapshots]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
