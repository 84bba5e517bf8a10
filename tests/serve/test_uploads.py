"""Names of files that were sent."""

import pytest
from starlette.datastructures import Headers

from adacl.serve.uploads import sent_name


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="part 7.v2_b-c.png"', "part 7.v2_b-c.png"),
        ('ATTACHMENT; FileName="part.png"', "part.png"),
        ("attachment; filename=part.png", "part.png"),
        ('attachment; filename="  "', "image"),
        ('attachment; filename=""', "image"),
        ('attachment; filename="a"; filename="b"', "b"),
        ('attachment; filename="../../a\\"b.png"', 'a"b.png'),
        (f'attachment; filename="{"x" * 999}"', "x" * 200),
        ("attachment", "image"),
    ],
)
def test_a_raw_body_has_the_name_of_its_disposition(disposition: str, name: str) -> None:
    assert sent_name(Headers({"content-disposition": disposition})) == name
