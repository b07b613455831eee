//! Tests of the catalogue: files as the directories publish them, searches, and uploads that break.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{self, Read},
    path::Path,
};

use jiff::civil::{Date, date};
use tempfile::TempDir;

use super::*;
use crate::{
    domain::control_class::{ClassSource, Classification, ControlClass},
    server::ports::{ProductRef, StoreError},
};

const TODAY: Date = date(2019, 7, 1);

fn slice(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

fn fda_products() -> Vec<u8> {
    slice("fda-ndc-product-slice.txt")
}

fn fda_packages() -> Vec<u8> {
    slice("fda-ndc-package-slice.txt")
}

fn anvisa() -> Vec<u8> {
    slice("anvisa-medicamentos-slice.csv")
}

fn store() -> (TempDir, CatalogStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = CatalogStore::open(dir.path()).unwrap();
    (dir, store)
}

fn import(store: &CatalogStore, file: &[u8]) -> ImportReport {
    store.import(file, ImportOptions::default(), |_| {}).unwrap()
}

fn found(store: &CatalogStore, text: &str) -> (u64, Vec<Product>) {
    let query = CatalogQuery { text: Some(text.to_owned()), limit: 200, after: None };
    let page = store.search(&query, TODAY).unwrap();
    (page.total.unwrap(), page.items)
}

fn adoptable(store: &CatalogStore, query: Option<&str>, today: Date) -> Vec<AdoptCandidate> {
    let mut all = Vec::new();
    let take = |candidate| {
        all.push(candidate);
        Ok(())
    };
    store.each_candidate(query, today, take).unwrap();
    all
}

fn counts(report: &ImportReport) -> [u64; 5] {
    [report.rows, report.created, report.updated, report.unchanged, report.bad]
}

#[test]
fn the_slices_are_imported_whole_and_a_second_import_changes_nothing() {
    let (_dir, store) = store();
    let table = [
        (fda_products(), Format::FdaProduct, 3_149),
        (fda_packages(), Format::FdaPackage, 5_730),
        (anvisa(), Format::Anvisa, 5_000),
    ];
    for (file, format, rows) in &table {
        let mut seen = Vec::new();
        let report = store.import(file.as_slice(), ImportOptions::default(), |progress| seen.push(progress)).unwrap();
        assert_eq!(counts(&report), [*rows, *rows, 0, 0, 0], "{:?}", report.bad_rows);
        assert_eq!((report.format, report.packages_without_product), (*format, 0));
        assert_eq!(seen.last().copied(), Some(Progress { bytes: file.len() as u64, rows: *rows }));
        assert!(seen.is_sorted_by_key(|progress| progress.rows));
    }
    assert_eq!(store.count().unwrap(), 8_149);
    for (file, _, rows) in &table {
        assert_eq!(counts(&import(&store, file)), [*rows, 0, 0, *rows, 0]);
    }
}

#[test]
fn lapsed_and_ingredient_less_rows_are_imported_too() {
    let (_dir, store) = store();
    import(&store, &anvisa());
    let (total, items) = found(&store, "tenobio");
    assert_eq!(total, 1);
    assert_eq!(items[0].status, Status::Lapsed);
    assert!(items[0].ingredients.is_empty());
    assert_eq!(items[0].classification, Classification::Unreviewed);
    let all = every(&store);
    assert_eq!(all.iter().filter(|one| one.status == Status::Lapsed).count(), 500);
    assert_eq!(all.iter().filter(|one| one.ingredients.is_empty()).count(), 531);
    assert!(all.iter().all(|one| one.classification != Classification::NotControlled), "the file cannot say so");
    assert!(all.iter().all(|one| one.class_source == ClassSource::SubstanceTable));
}

fn every(store: &CatalogStore) -> Vec<Product> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.search(&CatalogQuery { text: None, limit: 200, after }, TODAY).unwrap();
        all.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => {
                assert_eq!(page.total.unwrap(), all.len() as u64);
                return all;
            }
        }
    }
}

#[test]
fn a_product_says_what_its_row_says() {
    let (_dir, store) = store();
    import(&store, &fda_packages());
    import(&store, &fda_products());
    let (_, items) = found(&store, "52533-157");
    let product = &items[0];
    assert_eq!(product.directory, Directory::FdaNdc);
    assert_eq!(product.ingredients[0].strength.as_deref(), Some("0.5 mg/mL"), "the file says .5");
    assert_eq!(product.classification, Classification::Controlled(ControlClass::CIV));
    assert_eq!(product.class_source, ClassSource::Directory);
    assert!(product.key.starts_with("52533-157_"));
    let (_, items) = found(&store, "0409-2308");
    assert_eq!(items[0].routes, ["INTRAMUSCULAR", "INTRAVENOUS"]);
    let (_, items) = found(&store, "0002-6216");
    assert_eq!(items[0].classification, Classification::NotControlled, "a blank schedule is a statement");
    assert_eq!(items[0].packages[0].gtin.as_str(), "00300026216547");
    assert_eq!(store.product(&items[0].reference(), TODAY).unwrap().as_ref(), Some(&items[0]));
    let unknown = ProductRef { directory: "fda_ndc".into(), key: "no".into() };
    assert_eq!(store.product(&unknown, TODAY).unwrap(), None);
}

#[test]
fn the_strictest_class_of_a_repeated_code_wins() {
    let (_dir, store) = store();
    let header = first_line(&fda_products());
    let row = |id: &str, class: &str| {
        format!(
            "{id}\t1234-5678\tX\tKetamix\t\tketamine\tINJECTION\tORAL\t20190101\t\tANDA\t\tMaker\tKETAMINE\t1\tmg/mL\t\t{class}\tN\t\r\n"
        )
    };
    import(&store, format!("{header}\r\n{}{}", row("a", ""), row("b", "CIII")).as_bytes());
    let (_, items) = found(&store, "ketamix");
    assert_eq!(items.len(), 2);
    assert!(items.iter().all(|one| one.classification == Classification::Controlled(ControlClass::CIII)));
    let candidates = adoptable(&store, Some("ketamix"), TODAY);
    assert_eq!(candidates.len(), 1);
    assert_eq!(candidates[0].classification, Classification::Controlled(ControlClass::CIII));
}

fn first_line(file: &[u8]) -> String {
    String::from_utf8(file[..file.iter().position(|byte| *byte == b'\r').unwrap()].to_vec()).unwrap()
}

#[test]
fn codes_of_inner_packages_are_found_by_their_gtin() {
    let (_dir, store) = store();
    import(&store, &fda_products());
    import(&store, &fda_packages());
    let outer: std::collections::HashSet<String> = every(&store)
        .iter()
        .flat_map(|one| one.packages.iter().filter(|package| package.level == PackageLevel::Outer))
        .map(|package| package.code.clone())
        .collect();
    let inner: std::collections::BTreeSet<(String, String)> = every(&store)
        .iter()
        .flat_map(|one| one.packages.iter().filter(|package| package.level == PackageLevel::Inner))
        .filter(|package| !outer.contains(&package.code))
        .map(|package| (package.code.clone(), package.gtin.to_string()))
        .collect();
    assert_eq!(outer.len(), 5_730);
    assert_eq!(inner.len(), 480, "codes that stand only inside PACKAGEDESCRIPTION");
    for (code, gtin) in inner.iter().take(20) {
        for scanned in [code.clone(), code.replace('-', ""), gtin.clone(), format!("]d201{gtin}17300101")] {
            let references = store.by_code(&scanned).unwrap();
            assert!(!references.is_empty(), "{scanned}");
            assert!(store.scan_codes(&references).unwrap().contains(gtin));
        }
    }
}

#[test]
fn codes_are_found_in_every_form_in_which_people_and_scanners_send_them() {
    let (_dir, store) = store();
    import(&store, &fda_products());
    import(&store, &fda_packages());
    import(&store, &anvisa());
    let table = [
        ("0002-6216-54", "0002-6216"),
        ("0002621654", "0002-6216"),
        ("00002-6216-54", "0002-6216"),
        ("00002621654", "0002-6216"),
        ("00300026216547", "0002-6216"),
        ("300026216547", "0002-6216"),
        ("(01)00300026216547(17)270131(10)L42", "0002-6216"),
        ("]d201003000262165471727013110L42\u{1d}21S", "0002-6216"),
        ("0002-6216", "0002-6216"),
        ("00026216", "0002-6216"),
        ("183260387", "183260387"),
        ("1.8326.0387.001-7", "183260387"),
    ];
    for (text, code) in table {
        let (total, items) = found(&store, text);
        assert_eq!(items.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), [code], "{text:?}");
        assert_eq!(total, 1);
    }
}

#[test]
fn words_are_found_by_their_beginnings_with_and_without_accents() {
    let (_dir, store) = store();
    import(&store, &fda_products());
    import(&store, &anvisa());
    let total = |text| found(&store, text).0;
    assert!(total("midaz") >= 78);
    assert_eq!(total("midaz"), total("MIDÁZ"));
    let acid = total("ácido acetilsalicílico");
    assert!(acid > 5);
    assert_eq!(total("acido acetilsalicilico"), acid);
    assert_eq!(total("ACETILSALICÍL acid"), acid);
    assert!(total("acid acetilsal sanofi") >= 1);
    assert!(total("midazolam injection hospira") >= 1);
    assert!(total("0409-23") >= 7);
    assert_eq!(total("midazolam xyzzy"), 0);
    assert_eq!(total(""), 8_149);
    for odd in [
        "%",
        "\"",
        "'; DROP TABLE product; --",
        "a\" OR \"b",
        "NEAR(",
        "*",
        "AND",
        "-",
        "\u{0}",
        "🅐",
        "^a",
        "{x}:y",
        "日本",
    ] {
        total(odd);
    }
    assert_eq!(total("*"), 0);
    assert!(total(&"a ".repeat(5_000)) > 0);
}

#[test]
fn pages_hold_everything_once() {
    let (_dir, store) = store();
    import(&store, &fda_products());
    let whole = found(&store, "midazolam");
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let query = CatalogQuery { text: Some("midazolam".into()), limit: 7, after };
        let page = store.search(&query, TODAY).unwrap();
        assert_eq!(page.total, Some(whole.0));
        keys.extend(page.items.into_iter().map(|one| one.key));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(keys, whole.1.into_iter().map(|one| one.key).collect::<Vec<_>>());
    let query = CatalogQuery { after: Some("nonsense".into()), limit: 1, text: None };
    assert!(matches!(store.search(&query, TODAY), Err(StoreError::Missing { what: "cursor", .. })));
}

#[test]
fn bad_rows_are_named_and_the_others_imported() {
    let (_dir, store) = store();
    let mut file = b"TIPO_PRODUTO;NOME_PRODUTO;DATA_FINALIZACAO_PROCESSO;CATEGORIA_REGULATORIA;NUMERO_REGISTRO_PRODUTO;DATA_VENCIMENTO_REGISTRO;NUMERO_PROCESSO;CLASSE_TERAPEUTICA;EMPRESA_DETENTORA_REGISTRO;SITUACAO_REGISTRO;PRINCIPIO_ATIVO\n".to_vec();
    let good = |name: &str, number: u32, process: u32| {
        format!(
            "\"MEDICAMENTO\";\"{name}\";\"01/01/2020\";\"SIMILAR\";{number};;\"{process}\";;\"1 - X\";\"V\u{c1}LIDO\";\"DIPIRONA\"\n"
        )
    };
    file.extend(good("A", 1, 1).bytes());
    file.extend(b"too;few\n");
    file.extend(b"\"MEDICAMENTO\";\"open quote;;;;;;;;;\n");
    file.extend(vec![b'x'; 300 * 1024]);
    file.extend(b"\n\n");
    file.extend(b"M;;01/01/2020;S;7;;1;;;V\xc1LIDO;X\n");
    file.extend(b"M;B;31/02/2020;S;8;;1;;;V\xc1LIDO;X\n");
    file.extend(b"M;NUL\0;01/01/2020;S;9;;1;;;V\xc1LIDO;X\n");
    file.extend(b"M;LAPSED;01/01/2020;S;10;;1;;;CADUCO/CANCELADO\n");
    file.extend(good("A", 1, 1).bytes());
    file.extend(good("Z", 1, 2).bytes());
    let report = import(&store, &file);
    assert_eq!(counts(&report), [10, 3, 0, 1, 6]);
    let bad: Vec<u64> = report.bad_rows.iter().map(|bad| bad.line).collect();
    assert_eq!(bad, [3, 4, 5, 7, 8, 9]);
    assert!(report.bad_rows.iter().all(|bad| !bad.reason.is_empty()));
    assert_eq!(counts(&import(&store, &file)), [10, 0, 0, 4, 6], "also with a repeated registration");
    let (_, same) = found(&store, "000000001");
    assert!(same.is_empty());
    assert_eq!(store.by_code("1").unwrap().len(), 2, "another process under the same number is another product");
}

#[test]
fn a_package_that_is_described_twice_keeps_both_and_a_product_the_first() {
    let (_dir, store) = store();
    let header = first_line(&fda_packages());
    let row = |inner: &str| {
        format!("k\t1234-5678\t1234-5678-01\t1 BOX (1234-5678-01) > 1 VIAL in 1 BOX ({inner})\t\t\tN\tN\r\n")
    };
    let file = format!("{header}\r\n{}{}{}", row("1234-5678-02"), row("1234-5678-03"), row("1234-5678-02"));
    for created in [2, 0] {
        let report = import(&store, file.as_bytes());
        assert_eq!(counts(&report), [3, created, 0, 3 - created, 0]);
        assert_eq!(report.packages_without_product, 2, "kept until their product comes");
    }
    assert!(store.by_code("1234-5678-03").unwrap().is_empty());
    let header = first_line(&fda_products());
    let row = |name: &str| format!("k\t1234-5678\tX\t{name}\t\tx\tGEL\tORAL\t\t\t\t\tMaker\tX\t1\tmg/mL\t\t\tN\t\r\n");
    let file = format!("{header}\r\n{}{}", row("One"), row("Two"));
    for created in [1, 0] {
        assert_eq!(counts(&import(&store, file.as_bytes())), [2, created, 0, 1 - created, 1]);
    }
    let (_, items) = found(&store, "1234-5678-03");
    assert_eq!(items[0].name, "One");
    let codes: Vec<&str> = items[0].packages.iter().map(|package| package.code.as_str()).collect();
    assert_eq!(codes, ["1234-5678-01", "1234-5678-02", "1234-5678-03"]);
    let renamed = format!("{header}\r\n{}", row("Three"));
    assert_eq!(counts(&import(&store, renamed.as_bytes())), [1, 0, 1, 0, 0]);
    assert_eq!((found(&store, "three").0, found(&store, "one maker").0), (1, 0));
}

#[test]
fn encodings_are_recognised_or_given() {
    let latin = anvisa();
    let utf8 = encoding_rs::WINDOWS_1252.decode(&latin).0.into_owned().into_bytes();
    let marked = [b"\xef\xbb\xbf".as_slice(), &utf8].concat();
    let half = latin.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mixed = [&utf8[..half], &latin[half..], b"\n", &utf8[half..]].concat();
    let (_dir, store) = store();
    assert_eq!(import(&store, &latin).encoding, Encoding::Windows1252);
    for (file, rows, encoding) in
        [(&utf8, 5_000, Encoding::Utf8), (&marked, 5_000, Encoding::Utf8), (&mixed, 10_000, Encoding::Windows1252)]
    {
        let report = import(&store, file);
        assert_eq!((counts(&report), report.encoding), ([rows, 0, 0, rows, 0], encoding));
    }
    let given = |encoding| ImportOptions { encoding: Some(encoding), ..ImportOptions::default() };
    let report = store.import(latin.as_slice(), given("iso-8859-1".parse().unwrap()), |_| {}).unwrap();
    assert_eq!(counts(&report), [5_000, 0, 0, 5_000, 0]);
    let report = store.import(latin.as_slice(), given(Encoding::Utf8), |_| {}).unwrap();
    assert!(report.bad > 1_000 && report.bad_rows.len() == BAD_ROWS_MAX);
    assert_eq!(report.bad_rows_omitted, report.bad - BAD_ROWS_MAX as u64);
    assert!("utf-16".parse::<Encoding>().is_err());
}

#[test]
fn what_is_no_directory_changes_nothing() {
    let (_dir, store) = store();
    for file in
        [b"".as_slice(), b"\n\n", b"code,name\nA,B\n", b"\xff\xfeP\0R\0", b"PRODUCTID\tOTHER\n1\t2\n", &[0; 600_000]]
    {
        let error = store.import(file, ImportOptions::default(), |_| {}).unwrap_err();
        assert!(matches!(error, ImportError::UnknownFormat), "{error}");
    }
    let given = ImportOptions { format: Some(Format::FdaPackage), ..ImportOptions::default() };
    assert!(matches!(store.import(fda_products().as_slice(), given, |_| {}), Err(ImportError::UnknownFormat)));
    let header = first_line(&fda_packages());
    for rows in ["", "\r\nonly\tbad\r\n"] {
        let file = format!("{header}{rows}");
        let error = store.import(file.as_bytes(), ImportOptions::default(), |_| {}).unwrap_err();
        assert!(matches!(error, ImportError::NoGoodRow(_)), "{error}");
    }
    assert_eq!(store.count().unwrap(), 0);
}

#[test]
fn a_dry_run_reports_and_keeps_nothing() {
    let (_dir, store) = store();
    let options = ImportOptions { dry_run: true, ..ImportOptions::default() };
    let report = store.import(fda_products().as_slice(), options, |_| {}).unwrap();
    assert_eq!(counts(&report), [3_149, 3_149, 0, 0, 0]);
    assert!(report.dry_run);
    assert_eq!(store.count().unwrap(), 0);
    assert_eq!(counts(&import(&store, &fda_products())), [3_149, 3_149, 0, 0, 0]);
}

/// Ends in an error, and looks at the store from the side before.
struct Breaking<'a>(&'a [u8], &'a CatalogStore);

impl Read for Breaking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            assert_eq!(self.1.count().unwrap(), 0, "readers see nothing of an import that runs");
            let second = self.1.import(b"x".as_slice(), ImportOptions::default(), |_| {});
            assert!(matches!(second, Err(ImportError::Running)));
            return Err(io::Error::other("the connection broke"));
        }
        self.0.read(buffer)
    }
}

#[test]
fn an_upload_that_breaks_leaves_nothing_and_blocks_no_reader() {
    let (_dir, store) = store();
    let file = fda_products();
    let error = store.import(Breaking(&file, &store), ImportOptions::default(), |_| {}).unwrap_err();
    assert!(matches!(error, ImportError::Read(_)));
    assert_eq!(store.count().unwrap(), 0);
    assert_eq!(import(&store, &file).created, 3_149);
}

#[test]
fn the_catalogue_survives_reopening() {
    let (dir, store) = store();
    import(&store, &fda_products());
    drop(store);
    let store = CatalogStore::open(dir.path()).unwrap();
    assert_eq!(store.count().unwrap(), 3_149);
    assert!(found(&store, "midazolam").0 > 70);
}

#[test]
fn a_newer_or_foreign_file_is_refused_and_left_alone() {
    let (dir, store) = store();
    drop(store);
    let file = dir.path().join(CATALOG_FILE);
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = CatalogStore::open(dir.path()).err().unwrap();
    assert!(error.to_string().contains("schema 99"), "{error}");
    let other = tempfile::tempdir().unwrap();
    let foreign = other.path().join(CATALOG_FILE);
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(CatalogStore::open(other.path()), Err(StoreError::Broken(_))));
    std::fs::write(&foreign, vec![b'x'; 8192]).unwrap();
    assert!(matches!(CatalogStore::open(other.path()), Err(StoreError::Broken(_))));
}

#[test]
fn twenty_four_products_are_one_midazolam_injection() {
    let (_dir, store) = store();
    import(&store, &fda_products());
    import(&store, &fda_packages());
    let candidates = adoptable(&store, Some("midazolam"), TODAY);
    let injection = candidates.iter().max_by_key(|one| one.products.len()).unwrap();
    assert_eq!(injection.products.len(), 24);
    assert_eq!(injection.ingredients[0].strength.as_deref(), Some("5 mg/mL"));
    assert_eq!(injection.suggested_code, "MIDAZOLAM-5MG-ML-INJ");
    assert_eq!(injection.name, "Midazolam hydrochloride 5 mg/mL, injection, solution (intramuscular, intravenous)");
    assert_eq!(injection.unit, "vial");
    assert_eq!(injection.classification, Classification::Controlled(ControlClass::CIV));
    assert_eq!(injection.class_source, ClassSource::Directory);
    assert_eq!(candidates.iter().map(|one| one.products.len()).sum::<usize>(), 77);
    let by_scan = adoptable(&store, Some("0409-2308"), TODAY);
    assert_eq!(by_scan.len(), 1);
    assert_eq!(by_scan[0].group_key, injection.group_key);
    assert_eq!(by_scan[0].products, injection.products, "a group is adopted whole");
}

#[test]
fn adoption_proposes_the_same_each_time_with_codes_that_are_codes() {
    let (_dir, store) = store();
    import(&store, &anvisa());
    import(&store, &fda_products());
    import(&store, &fda_packages());
    let first = adoptable(&store, None, TODAY);
    assert_eq!(first, adoptable(&store, None, TODAY));
    let codes: std::collections::HashSet<&str> = first.iter().map(|one| one.suggested_code.as_str()).collect();
    assert_eq!(codes.len(), first.len());
    for code in codes {
        assert!((1..=40).contains(&code.len()), "{code}");
        assert!(code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-'), "{code}");
    }
    assert!(first.iter().all(|one| !one.name.is_empty() && !one.unit.is_empty() && !one.products.is_empty()));
    let anvisa: Vec<_> = first.iter().filter(|one| one.group_key.starts_with("product:anvisa:")).collect();
    assert_eq!(anvisa.len(), 4_500, "by product, and only the valid ones");
    assert!(anvisa.iter().all(|one| one.products.len() == 1));
    let aas = anvisa.iter().find(|one| one.products[0].key == "183260387").unwrap();
    assert_eq!(aas.suggested_code, "AAS-PROTECT-183260387");
    assert_eq!(aas.name, "AAS PROTECT (ÁCIDO ACETILSALICÍLICO), SANOFI MEDLEY FARMACÊUTICA LTDA.");
    assert_eq!(aas.classification, Classification::Unreviewed);
    let kits = first.iter().filter(|one| one.dosage_form.as_deref() == Some("KIT"));
    assert!(kits.clone().count() > 0 && kits.into_iter().all(|one| one.products.len() == 1), "kits are not alike");
}

#[test]
fn what_is_past_its_end_of_marketing_is_lapsed_and_not_adopted() {
    let (_dir, store) = store();
    import(&store, &fda_products());
    let later = date(2028, 1, 1);
    let all = |today| adoptable(&store, None, today).iter().map(|one| one.products.len()).sum::<usize>();
    assert_eq!(all(later), 3_062, "87 rows have an end of marketing");
    assert!(all(TODAY) > all(later));
    let page = store.search(&CatalogQuery { text: None, limit: 200, after: None }, later).unwrap();
    assert!(page.items.iter().all(|one| (one.status == Status::Lapsed) == one.end_date.is_some()));
}

/// The scale test: `MEDREQ_NDC_DIR` holds the whole directory's `product.txt` and `package.txt`. Run it in release.
#[test]
#[ignore = "needs the whole NDC Directory in MEDREQ_NDC_DIR"]
#[expect(clippy::print_stderr, reason = "its figures are its point")]
fn the_whole_directory_is_imported_and_answers_as_one_types() {
    let files = std::path::PathBuf::from(std::env::var_os("MEDREQ_NDC_DIR").unwrap());
    let (dir, store) = store();
    for (name, rows) in [("product.txt", 128_241), ("package.txt", 243_960)] {
        for created in [rows, 0] {
            let started = std::time::Instant::now();
            let file = std::fs::File::open(files.join(name)).unwrap();
            let report = store.import(file, ImportOptions::default(), |_| {}).unwrap();
            eprintln!("{name}: {:?} in {:?}", counts(&report), started.elapsed());
            assert_eq!(counts(&report), [rows, created, 0, rows - created, 0]);
        }
    }
    for text in
        ["", "a", "mi", "midazolam", "midazolam inj", "tablet", "hydrochloride tab", "0409-2308-01", "00304092308014"]
    {
        let started = std::time::Instant::now();
        let query = CatalogQuery { text: Some(text.to_owned()), limit: 50, after: None };
        let page = store.search(&query, TODAY).unwrap();
        eprintln!("{text:?}: {} in {:?}", page.total.unwrap(), started.elapsed());
    }
    let started = std::time::Instant::now();
    let mut groups = 0;
    store
        .each_candidate(None, TODAY, |_| {
            groups += 1;
            Ok(())
        })
        .unwrap();
    eprintln!("{groups} candidates in {:?}", started.elapsed());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    eprintln!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
    let size = std::fs::metadata(dir.path().join(CATALOG_FILE)).unwrap().len();
    eprintln!("{} MB on disk", size / 1_000_000);
}
