//! Which functions the running kernel has, and where.
//!
//! A function can be hooked by name only if the symbol table has it, and only means something if it has it once:
//! compilers copy, split and inline static functions.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use anyhow::Context as _;

/// Where one function is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbol {
    /// How many addresses carry the name. More than one: a hook by name would be on any of them.
    pub addresses: usize,
    /// The module of the first of them; none for the kernel image.
    pub module: Option<String>,
}

impl Symbol {
    /// Whether a hook by this name could be on the wrong one of several functions.
    pub fn is_ambiguous(&self) -> bool {
        self.addresses > 1
    }
}

/// The functions found, by name; a name that is missing is no function of this kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbols {
    found: HashMap<String, Symbol>,
}

impl Symbols {
    /// Reads the kernel's symbol table (`/proc/kallsyms`) once and keeps what it says of `names`. The addresses
    /// themselves are not needed, so it does not matter if they are hidden.
    ///
    /// Fails if the file cannot be read.
    pub fn read(path: &Path, names: &[&str]) -> anyhow::Result<Self> {
        let file = File::open(path)
            .with_context(|| format!("cannot read the kernel's symbols from {}", path.display()))?;
        Self::parse(BufReader::with_capacity(1 << 16, file), names)
            .with_context(|| format!("cannot read the kernel's symbols from {}", path.display()))
    }

    /// Reads lines of `address type name`, then `[module]` after a tab for symbols of modules.
    fn parse(mut lines: impl BufRead, names: &[&str]) -> io::Result<Self> {
        let mut wanted: HashMap<&[u8], Symbol> =
            names.iter().map(|name| (name.as_bytes(), Symbol::default())).collect();
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).skip(1);
            if let (Some(kind), Some(name)) = (words.next(), words.next())
                && matches!(kind, b"t" | b"T" | b"w" | b"W")
                && let Some(symbol) = wanted.get_mut(name)
            {
                if symbol.addresses == 0 {
                    symbol.module = words.next().and_then(module_name);
                }
                symbol.addresses += 1;
            }
            line.clear();
        }
        let found = wanted
            .into_iter()
            .filter(|(_, symbol)| symbol.addresses > 0)
            .map(|(name, symbol)| (String::from_utf8_lossy(name).into_owned(), symbol))
            .collect();
        Ok(Self { found })
    }

    /// What the table says of a function, or none if it does not have it (or it was not asked for).
    pub fn get(&self, name: &str) -> Option<&Symbol> {
        self.found.get(name)
    }
}

/// Takes the name out of `[name]`.
fn module_name(word: &[u8]) -> Option<String> {
    let name = word.strip_prefix(b"[")?.strip_suffix(b"]")?;
    Some(String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T arp_xmit
ffffffff81000010 t early_drop
ffffffff81000020 d tcp_data
ffffffff81000030 W weak_function
ffffffff81000040 t nf_ct_delete.part.0
ffffffffc0000000 t early_drop\t[nf_conntrack]
ffffffffc0000010 T ip_vs_schedule\t[ip_vs]
ffffffffc0000020 b arp_xmit\t[other]";

    fn symbol(addresses: usize, module: Option<&str>) -> Symbol {
        Symbol { addresses, module: module.map(str::to_owned) }
    }

    #[test]
    fn finds_functions_their_module_and_how_often_they_occur() {
        let cases = [
            ("arp_xmit", Some(symbol(1, None))),
            ("early_drop", Some(symbol(2, None))),
            ("weak_function", Some(symbol(1, None))),
            ("ip_vs_schedule", Some(symbol(1, Some("ip_vs")))),
            // Data is no function, and a compiler's clone is not the function.
            ("tcp_data", None),
            ("nf_ct_delete", None),
            ("ip_vs_sched", None),
        ];
        let names: Vec<_> = cases.iter().map(|(name, _)| *name).collect();
        let symbols = Symbols::parse(TABLE.as_bytes(), &names).unwrap();
        for (name, expected) in cases {
            assert_eq!(symbols.get(name), expected.as_ref(), "{name}");
        }
        assert!(symbols.get("early_drop").unwrap().is_ambiguous());
        assert!(!symbols.get("arp_xmit").unwrap().is_ambiguous());
    }

    #[test]
    fn passes_over_lines_it_does_not_understand() {
        let table = "\n \nffffffff81000000\nffffffff81000000 T\n\u{0} T x\nffff T arp_xmit [broken\n";
        let symbols = Symbols::parse(table.as_bytes(), &["arp_xmit"]).unwrap();
        assert_eq!(symbols.get("arp_xmit"), Some(&symbol(1, None)));
    }

    #[test]
    fn a_missing_table_is_an_error_that_names_it() {
        let error = Symbols::read(Path::new("/nonexistent/kallsyms"), &["x"]).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/kallsyms"), "{error}");
    }
}
