//! Formats of directory files, told by the column names in the first line. A column is found by its name, never by its place.

use std::{collections::HashMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::lines;

/// What a file holds. Other columns than the named ones may stand anywhere and are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `product.txt` of the NDC Directory: one row a product, lists inside a field separated by `;`.
    FdaProduct,
    /// `package.txt` of the NDC Directory: one row a package, inner packages inside its description.
    FdaPackage,
    /// ANVISA's `DADOS_ABERTOS_MEDICAMENTOS.csv`: one row a registration, without strengths, forms and classes.
    Anvisa,
}

impl Format {
    const ALL: [Self; 3] = [Self::FdaProduct, Self::FdaPackage, Self::Anvisa];

    /// The name on the wire and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FdaProduct => "fda_product",
            Self::FdaPackage => "fda_package",
            Self::Anvisa => "anvisa",
        }
    }

    /// Columns without which the file is not of this format.
    const fn required(self) -> &'static [&'static str] {
        match self {
            Self::FdaProduct => &[
                "PRODUCTID",
                "PRODUCTNDC",
                "PROPRIETARYNAME",
                "NONPROPRIETARYNAME",
                "DOSAGEFORMNAME",
                "ROUTENAME",
                "LABELERNAME",
                "SUBSTANCENAME",
                "ACTIVE_NUMERATOR_STRENGTH",
                "ACTIVE_INGRED_UNIT",
                "DEASCHEDULE",
            ],
            Self::FdaPackage => &["PRODUCTID", "PRODUCTNDC", "NDCPACKAGECODE", "PACKAGEDESCRIPTION"],
            Self::Anvisa => &["NOME_PRODUTO", "NUMERO_REGISTRO_PRODUTO", "SITUACAO_REGISTRO", "PRINCIPIO_ATIVO"],
        }
    }

    /// Fields that a row may lack at its end: ANVISA's lapsed rows end before the ingredients.
    const fn may_lack(self) -> usize {
        match self {
            Self::Anvisa => 1,
            Self::FdaProduct | Self::FdaPackage => 0,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format {0:?}: use fda_product, fda_package or anvisa")]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let wanted = text.replace('-', "_");
        Self::ALL.into_iter().find(|format| format.as_str() == wanted).ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// The first line of a file, understood.
pub(super) struct Header {
    pub(super) format: Format,
    delimiter: char,
    columns: HashMap<String, usize>,
    width: usize,
}

impl Header {
    /// Recognises a first line; with a given format only that one.
    pub(super) fn recognise(line: &str, given: Option<Format>) -> Option<Self> {
        ['\t', ';', ','].into_iter().find_map(|delimiter| {
            let names = lines::fields(line, delimiter).ok()?;
            let width = names.len();
            let columns: HashMap<String, usize> =
                names.into_iter().enumerate().map(|(at, name)| (name.to_uppercase(), at)).collect();
            let fits = |format: &Format| format.required().iter().all(|name| columns.contains_key(*name));
            let format = Format::ALL.into_iter().filter(|format| given.is_none_or(|one| one == *format)).find(fits)?;
            Some(Self { format, delimiter, columns, width })
        })
    }

    /// A row of the file, or why it is none.
    pub(super) fn row(&self, line: &str) -> Result<Row<'_>, String> {
        let fields = lines::fields(line, self.delimiter)?;
        let least = self.width - self.format.may_lack();
        if (least..=self.width).contains(&fields.len()) {
            return Ok(Row { header: self, fields });
        }
        Err(format!("it has {} fields, the first line has {}", fields.len(), self.width))
    }
}

/// The fields of a row by name.
pub(super) struct Row<'a> {
    header: &'a Header,
    fields: Vec<String>,
}

impl Row<'_> {
    /// A field; empty where the file has no such column or the row ends before it.
    pub(super) fn get(&self, name: &str) -> &str {
        self.header.columns.get(name).and_then(|at| self.fields.get(*at)).map_or("", String::as_str)
    }

    /// A field, `None` where empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        Some(self.get(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// A field that must not be empty.
    pub(super) fn needed(&self, name: &'static str) -> Result<String, String> {
        self.text(name).ok_or_else(|| format!("{name} is empty"))
    }
}
