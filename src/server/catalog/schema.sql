-- Rows of directories. `body` is the record as parsed, in JSON: an import compares it to know what changed.
CREATE TABLE product (
  id        INTEGER PRIMARY KEY,
  directory TEXT NOT NULL,
  key       TEXT NOT NULL,
  code      TEXT NOT NULL,
  care      INTEGER NOT NULL, -- the row's own classification as a number, stricter is more
  cancelled INTEGER NOT NULL,
  end_date  TEXT,
  group_key TEXT NOT NULL,
  body      TEXT NOT NULL,
  UNIQUE (directory, key)
) STRICT;
CREATE INDEX product_by_code ON product (directory, code, care);
CREATE INDEX product_by_group ON product (group_key, key);

-- Packages by their product's key and not its row: their file may come first. `nth` is 1 but where one file has a code
-- again with another description: both stand, for the codes inside them may differ.
CREATE TABLE package (
  product_key TEXT NOT NULL,
  code        TEXT NOT NULL,
  nth         INTEGER NOT NULL,
  digits      TEXT NOT NULL,
  body        TEXT NOT NULL,
  PRIMARY KEY (product_key, code, nth)
) STRICT, WITHOUT ROWID;
CREATE INDEX package_by_digits ON package (digits);

CREATE TABLE inner_package (
  product_key TEXT NOT NULL,
  outer_code  TEXT NOT NULL,
  nth         INTEGER NOT NULL,
  code        TEXT NOT NULL,
  digits      TEXT NOT NULL,
  description TEXT NOT NULL,
  PRIMARY KEY (product_key, outer_code, nth, code)
) STRICT, WITHOUT ROWID;
CREATE INDEX inner_package_by_digits ON inner_package (digits);

-- Folded words of a product; the rowid is its id. Holds no text of its own.
CREATE VIRTUAL TABLE product_text USING fts5(
  words, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3 4'
);
