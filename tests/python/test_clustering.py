"""Rows in groups: of frames, vectors, answers and files, from cells and back into cells."""

import re
import time

import pytest

# Three heaps of 40 points, far from each other, and two columns that say nothing.
POINTS = """
let heap = |at: usize| (at % 3) as f64;
let wiggle = |at: usize, by: usize| ((at * by) % 17) as f64 / 17.0;
let points = df!(
    "name" => (0..120).map(|at| format!("point {at}")).collect::<Vec<_>>(),
    "x" => (0..120).map(|at| 10.0 * heap(at) + wiggle(at, 7)).collect::<Vec<_>>(),
    "y" => (0..120).map(|at| -5.0 * heap(at) + wiggle(at, 5)).collect::<Vec<_>>(),
    "weight" => vec![1.0; 120],
)?;
"""
AGREES = """
let of_heap: Vec<u32> = (0..3).map(|at| {0}.assignments.u32().unwrap().get(at).unwrap()).collect();
(0..120).all(|at| {0}.assignments.u32().unwrap().get(at) == Some(of_heap[at % 3])) && of_heap[0] != of_heap[1]
"""
# Two kinds of people who answer differently.
SURVEY = """
let answer = |at: usize, q: usize| if (at * 7 + q * 3) % 5 == 0 { "other" } else if at % 2 == 0 { "yes" } else { "no" };
let survey = df!(
    "who" => (0..90).map(|at| format!("person {at}")).collect::<Vec<_>>(),
    "a" => (0..90).map(|at| answer(at, 1)).collect::<Vec<_>>(),
    "b" => (0..90).map(|at| answer(at, 2)).collect::<Vec<_>>(),
    "c" => (0..90).map(|at| answer(at, 4)).collect::<Vec<_>>(),
    "code" => (0..90).map(|at| (at % 2) as i64 + 10).collect::<Vec<_>>(),
)?;
"""


@pytest.fixture
def points(rust):
    assert rust.run(POINTS).ok
    return rust


@pytest.fixture
def survey(rust):
    assert rust.run(SURVEY).ok
    return rust


def agrees(kernel, name):
    talk = kernel.run(AGREES.replace("{0}", name))
    assert talk.ok, talk
    return talk.result == "true"


def test_a_frame_of_a_cell_is_grouped_and_the_groups_are_a_variable(points):
    talk = points.run("%kmeans points -k 3 --columns x,y --label name")
    assert talk.ok, talk
    assert "3 groups of 120 rows" in talk.result and "set apart by" in talk.result
    assert "svg+xml" in talk.data["text/html"] and "point " in talk.data["text/html"]
    assert agrees(points, "clusters")
    assert points.value("clusters.sizes") == "[40, 40, 40]"
    assert points.value("clusters.predict(&points)?.equals(&clusters.assignments)") == "true"
    far = "clusters.transform(&points)?.shape()"
    assert points.value(far) == "(120, 3)"
    # The centres are in the units of the columns, also when these were brought to one spread.
    assert points.run("%kmeans points -k 3 --columns x,y --standardize --as even").ok
    assert agrees(points, "even")
    greatest = 'even.centroids.column("x")?.f32()?.max().unwrap() > 20.0'
    assert points.value(greatest) == "true"


def test_the_number_of_groups_is_found(points):
    talk = points.run("%kmeans points -k 2..8 --columns x,y --n-init 4")
    assert talk.ok, talk
    assert "k = 3 of 2..8" in talk.result and "inertia by number of groups" in talk.result
    assert agrees(points, "clusters")


def test_the_same_seed_gives_the_same_groups(points):
    sums = []
    for _ in range(2):
        assert points.run("%kmeans points -k 7 --columns x,y --init random --seed 5").ok
        sums.append(points.value("(clusters.inertia.to_bits(), clusters.sizes.clone())"))
    assert sums[0] == sums[1]


def test_whatever_holds_numbers_can_be_grouped(points, tmp_path):
    assert points.run("let rows: Vec<Vec<f32>> = (0..60).map(|at| vec![(at % 2) as f32, 1.0]).collect();").ok
    assert "2 groups of 60 rows" in points.run("%kmeans rows -k 2 --as of_rows").result
    assert points.value("of_rows.sizes") == "[30, 30]"
    assert points.run('let x = points.column("x")?.as_materialized_series().clone();').ok
    assert "3 groups of 120 rows" in points.run("%kmeans x -k 3 --as of_x").result
    file = tmp_path / "points.parquet"
    write = f'ParquetWriter::new(std::fs::File::create("{file}")?).finish(&mut points.clone())?;'
    assert points.run(write).ok
    for flags in ("", "--by-block", "--by-block --batch 50"):
        talk = points.run(f"%kmeans {file} -k 3 --columns x,y --n-init 3 --as of_file {flags}")
        assert talk.ok, talk
        assert agrees(points, "of_file"), flags


def test_centres_and_weights_are_taken_from_the_session(points):
    assert points.run('let start = df!("x" => [0.0, 10.0, 20.0], "y" => [0.0, -5.0, -10.0])?;').ok
    talk = points.run("%kmeans points --columns x,y --init start --weights weight --as begun")
    assert talk.ok and "3 groups" in talk.result
    assert agrees(points, "begun")
    assert points.run("%kmeans points --columns x,y --init begun --max-iter 3 --as again").ok
    assert "have 2 numbers, and the rows have 1" in points.run("%kmeans points --columns x --init start").traceback


def test_answers_are_grouped_without_being_written_out(survey):
    talk = survey.run("%encode survey --as answers")
    assert talk.ok, talk
    assert "`who`, which nearly each row has another of" in talk.result or "left out" in talk.result
    talk = survey.run("%kmeans answers -k 2 --n-init 5 --as people")
    assert talk.ok and re.search(r"[abc]=(yes|no) \d+ %", talk.result), talk
    assert survey.value("people.sizes.iter().sum::<usize>()") == "90"
    right = "(0..90).filter(|&at| people.assignments.u32().unwrap().get(at) == people.assignments.u32().unwrap().get(at % 2)).count() >= 85"
    assert survey.value(right) == "true"
    assert survey.value("people.predict(&survey)?.equals(&people.assignments)") == "true"


def test_groups_of_stretched_answers_are_told_in_shares_of_rows(survey):
    assert survey.run("%encode survey --columns a,b,c --method chi2 --as places").ok
    talk = survey.run("%kmeans places -k 2 --n-init 5 --as people")
    told = [int(share) for share in re.findall(r"=\w+ (\d+) %", talk.result)]
    assert told and max(told) <= 100, talk


def test_answers_are_grouped_around_the_most_frequent_ones(survey):
    assert survey.run("%encode survey --columns a,b,c --as answers").ok
    for how in ("", "--init huang --n-init 5"):
        talk = survey.run(f"%kmeans answers -k 2 --metric matching {how} --as people")
        assert talk.ok and re.search(r"\d+ of 270 answers differ from the centre of their group", talk.result), talk
        assert survey.value("people.predict(&survey)?.equals(&people.assignments)") == "true"
    assert "of 2..4, whose silhouette is the best" in survey.run("%kmeans answers -k 2..4 --metric matching --as people").result
    for line, why in (
        ("answers -k 2 --metric matching --batch 9", "goes without `--batch`"),
        ("answers -k 2 --metric matching --init random", "chooses numbers, not answers"),
        ("answers -k 2 --init cao", "chooses answers, not numbers"),
        ("survey -k 2 --metric matching", "is not made of answers alone"),
    ):
        assert why in survey.run(f"%kmeans {line}").traceback
    assert survey.run("%encode survey --columns a,b,c --method mca --as places").ok
    assert "is not made of answers alone" in survey.run("%kmeans places -k 2 --metric matching").traceback


@pytest.mark.parametrize("method", ["chi2", "mca", "ppmi", "coupling", "entity", "choose"])
def test_answers_have_a_place_in_a_space(survey, method):
    talk = survey.run(f"%encode survey --method {method} --columns a,b,c -k 2 --as places")
    assert talk.ok, talk
    talk = survey.run("%kmeans places -k 2 --n-init 5 --as people")
    assert talk.ok, talk
    same = "people.assignments.u32().unwrap().get(at) == people.assignments.u32().unwrap().get(at % 2)"
    assert survey.value(f"(0..90).filter(|&at| {same}).count() >= 75") == "true"


WRONG = [
    ("%kmeans points -k 500 --columns x,y", "500", "rows"),
    ("%kmeans points -k 0", "no number of groups", "2..20"),
    ("%kmeans points --columns x,z", "no column `z`", "`weight`"),
    ("%kmeans points --columns name", "no column of numbers", "%encode"),
    ("%kmeans nothing", "nothing is called `nothing`", "%corpus"),
    ("%kmeans no/such.parquet", "no file", "notebook"),
    ("%kmeans broken -k 2", "finite", ""),
    ("%kmeans holes -k 2", "2 rows of `x` have no number, first row 1", "drop_nulls"),
    ("%kmeans ragged -k 2", "row 1", ""),
    ("%kmeans empty -k 2", "nothing to group", ""),
    ("%kmeans odd -k 2", "no table", "DataFrame"),
    ("%encode numbers", "no column of answers", "%kmeans"),
]


@pytest.fixture
def wrong(points):
    assert points.run(
        'let broken = df!("x" => [1.0, f64::NAN, 3.0, f64::INFINITY])?;\n'
        'let holes = df!("x" => [Some(1.0), None, Some(3.0), None])?;\n'
        "let ragged = vec![vec![1.0f32, 2.0], vec![3.0]];\n"
        'let empty = df!("x" => Vec::<f64>::new())?;\n'
        "let odd = std::time::Duration::from_secs(1);\n"
        'let numbers = df!("x" => (0..50).map(f64::from).collect::<Vec<_>>())?;'
    ).ok
    return points


@pytest.mark.parametrize("cell, message, hint", WRONG)
def test_what_cannot_be_grouped_is_said_clearly(wrong, cell, message, hint):
    talk = wrong.run(cell)
    assert not talk.ok and message in talk.traceback and hint in talk.traceback, talk


def test_rows_that_are_all_the_same_are_no_error(rust):
    assert rust.run('let same = df!("x" => vec![1.0; 20], "y" => vec![2.0; 20])?;').ok
    talk = rust.run("%kmeans same -k 3")
    assert talk.ok and "only 1 of the rows differ" in talk.result, talk
    assert rust.run('let one = df!("x" => [1.0])?;').ok
    assert rust.run("%kmeans one -k 1").ok


MANY = (
    "let many: Vec<Vec<f32>> = (0..200_000u64).map(|at| (0..24u64)"
    ".map(|d| ((at * 2_654_435_761 + d * 40_503) % 1009) as f32).collect()).collect();"
)


def test_an_interrupt_keeps_the_best_so_far(rust):
    assert rust.run(MANY).ok
    cell = rust.send("%kmeans many -k 300 --tol 0 --max-iter 100000 --as kept")
    rust.until_shown(cell, "inertia")
    begun = time.monotonic()
    rust.interrupt()
    rust.finish(cell)
    assert time.monotonic() - begun < 60
    assert cell.ok and "the best groups so far" in cell.result, cell
    assert rust.value("kept.sizes.iter().sum::<usize>()") == "200000"


def test_an_interrupt_among_numbers_of_groups_keeps_the_best_of_those(rust):
    assert rust.run(MANY).ok
    cell = rust.send("%kmeans many -k 2..500 --tol 0 --as some")
    rust.until_shown(cell, " of ")
    # By then some numbers were tried, and by far not all.
    time.sleep(5)
    rust.interrupt()
    rust.finish(cell)
    assert cell.ok and "of those that were tried" in cell.result, cell
    assert rust.value("some.sizes.iter().sum::<usize>()") == "200000"
