"""A page of texts holds every text as text."""

from geometry.plots.pages import TextTable, texts_page


def test_a_page_of_texts_is_escaped_whole_and_marks_whole_words() -> None:
    columns = [("a & b", "<made>", False), ("control", "", True)]
    rows = [("<script>x", ["The Bird sat\nthere", "birds \x00 </td>"]), ("two", ["bird", ""])]
    tables = [TextTable("", columns, rows), TextTable("second <b>", columns[:1], [("p", ["bird"])])]
    page = texts_page("t <t>", "d", tables, marked=["bird", "There"])
    assert "<script" not in page
    assert "&lt;script&gt;x" in page
    assert "The <mark>Bird</mark> sat<br><mark>there</mark>" in page
    assert '<td class="control">birds · &lt;/td&gt;</td>' in page
    assert "a &amp; b<small>&lt;made&gt;</small>" in page
    assert page.count("<td") == 5
    assert page.count("<h2>") == 1
    assert "<h2>second &lt;b&gt;</h2>" in page
    assert "://" not in page
