import io

from podium.events import decode, encode
from podium.sinks.jsonl import JsonLines


class Counted(io.BytesIO):
    flushes = 0

    def flush(self):
        self.flushes += 1
        super().flush()


def lines_of(story):
    return b"".join(encode(record.event) + b"\n" for record in story.records)


def test_one_line_per_event_exactly_as_in_the_journal(story):
    story.begin("a\nb ü [x]").case("a").finish(passed=1)
    stream = io.BytesIO()
    story.feed(JsonLines(stream))
    assert stream.getvalue() == lines_of(story)
    found = stream.getvalue().splitlines()
    assert [decode(line) for line in found] == [record.event for record in story.records]
    assert found[-1] == (
        b'{"kind":"run_finished","at_us":1767355445000007,"outcome":"passed","counts":{"passed":1},"duration":12.3}'
    )


def test_each_batch_is_flushed(story):
    stream = Counted()
    story.sinks.append(JsonLines(stream))
    story.begin()
    flushed = stream.flushes
    assert flushed
    story.start()
    assert stream.flushes > flushed


def test_a_text_stream_of_another_encoding_gets_the_same_bytes(story):
    story.begin("ü")
    below = io.BytesIO()
    stream = io.TextIOWrapper(below, encoding="ascii", newline="\r\n")
    stream.write("before\n")
    story.feed(JsonLines(stream))
    assert below.getvalue() == b"before\r\n" + lines_of(story)


def test_a_text_stream_without_bytes_underneath(story):
    story.begin("ü")
    stream = io.StringIO()
    story.feed(JsonLines(stream))
    assert stream.getvalue().encode() == lines_of(story)


def test_a_stream_that_takes_a_few_bytes_at_a_time(story):
    class Slow(io.RawIOBase):
        taken = b""

        def writable(self):
            return True

        def write(self, data):
            self.taken += bytes(data[:7])
            return min(7, len(data))

    story.begin().case()
    stream = Slow()
    story.feed(JsonLines(stream))
    assert stream.taken == lines_of(story)


def test_an_empty_batch_writes_nothing(story):
    stream = io.BytesIO()
    story.feed(JsonLines(stream))
    assert stream.getvalue() == b""
