//! Pages of the program's file that the system could have back: what only the start, or only a call, needed of it.
//!
//! A page of the program that was run once stays with the process for good, though the file it came from has it too. On a
//! machine with a hundred shops that is what most of their memory is. Given back, it is read again where it is needed
//! again, from the system's own memory as long as that has room. Libraries keep theirs: one that is being loaded at this
//! moment looks as if nothing of it had been changed yet.

use std::{fs, ops::Range};

/// Where in memory there are pages of the program's file of which this process has changed nothing and cannot change
/// anything: the same bytes come back when they are let go. Empty where there is no `/proc`.
pub fn unchanged() -> Vec<Range<usize>> {
    let (Ok(page), Ok(program)) = (fs::read_to_string("/proc/self/smaps"), fs::read_link("/proc/self/exe")) else {
        return Vec::new();
    };
    program.to_str().map(|program| read(&page, program)).unwrap_or_default()
}

/// Reads the kernel's page: a line for each stretch of memory, and lines about it.
fn read(page: &str, program: &str) -> Vec<Range<usize>> {
    let mut unchanged = Vec::new();
    // A stretch of the program that cannot be written to, and the kibibytes of it that were changed before (relocations).
    let mut stretch: Option<(Range<usize>, Option<u64>)> = None;
    for line in page.lines().chain(["0-0 end"]) {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        if let Some(name) = first.strip_suffix(':') {
            if let ("Anonymous" | "Swap", Some((_, changed))) = (name, &mut stretch) {
                let more = words.next().and_then(|kib| kib.parse::<u64>().ok());
                *changed = Some(changed.unwrap_or(0).saturating_add(more.unwrap_or(1)));
            }
            continue;
        }
        // Where the kernel does not say what was changed, everything may have been.
        if let Some((range, Some(0))) = stretch.take() {
            unchanged.push(range);
        }
        let (rights, file) = (words.next().unwrap_or_default(), line.find('/').map(|at| &line[at..]));
        if matches!(rights, "r-xp" | "r--p") && file == Some(program) {
            stretch = addresses(first).map(|range| (range, None));
        }
    }
    unchanged
}

/// `7f00-7f20`, in hexadecimal numbers.
fn addresses(text: &str) -> Option<Range<usize>> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
    (from < to).then_some(from..to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_can_have_changed_is_given_back() {
        let page = "\
55d0c0000000-55d0c0091000 r--p 00000000 fe:00 1048                       /opt/a shop/pronto (deleted)
Size:                580 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me
55d0c0091000-55d0c00a0000 r--p 00091000 fe:00 1048                       /opt/a shop/pronto (deleted)
Anonymous:             4 kB
Swap:                  0 kB
55d0c00a0000-55d0c00b0000 r-xp 000a0000 fe:00 1048                       /opt/a shop/pronto (deleted)
Anonymous:             0 kB
Swap:                  8 kB
55d0c00b0000-55d0c00c0000 r-xp 000b0000 fe:00 1048                       /opt/a shop/pronto (deleted)
Anonymous:             0 kB
Swap:                  0 kB
55d0c00c0000-55d0c00d0000 rw-p 000c0000 fe:00 1048                       /opt/a shop/pronto (deleted)
Anonymous:             0 kB
Swap:                  0 kB
55d0c00e0000-55d0c00f0000 r--p 00000000 00:00 0
Anonymous:             0 kB
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
7ffd00001000-7ffd00002000 r-xp 00000000 fe:00 1049                       /usr/lib/library.so
Anonymous:             0 kB
7ffd00002000-7ffd00003000 r-xp 00000000 fe:00 1048                       /opt/a shop/pronto (deleted)
Size:   4 kB, of a kernel that does not say what was changed
7ffd00003000-7ffd00004000 r--p 00000000 fe:00 1048                       /opt/a shop/pronto (deleted)
Anonymous:             0 kB
";
        let expected = [
            0x55d0_c000_0000..0x55d0_c009_1000,
            0x55d0_c00b_0000..0x55d0_c00c_0000,
            0x7ffd_0000_3000..0x7ffd_0000_4000,
        ];
        assert_eq!(read(page, "/opt/a shop/pronto (deleted)"), expected);
        let odd = "what\n\nzz-1 r-xp 0 0 0 /x\nAnonymous: 0 kB\n2-1 r-xp 0 0 0 /x\nAnonymous: 0 kB";
        assert!(read(odd, "/x").is_empty());
        assert!(read("1-2 r-xp 0 0 0 /x\nAnonymous: many\n", "/x").is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn our_own_code_is_among_it() {
        let here = read as fn(&str, &str) -> Vec<Range<usize>> as usize;
        assert!(unchanged().iter().any(|range| range.contains(&here)));
    }
}
