//! The texts of the scripts that run on hosts. They are constant: values reach a script as arguments or on its standard input.

/// The text of a file below `src/host/scripts`.
#[macro_export]
macro_rules! script_file {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/host/scripts/", $file))
    };
}

/// Joins files to a script, and puts the common head before them: the constants of `layout`, and the arguments as variables. The first line of the
/// script names its files.
#[macro_export]
macro_rules! script {
    ($($file:literal),+) => {
        concat!(
            "#",
            $(" ", $file),+,
            "\n",
            $crate::script_file!("lib/constants.sh"),
            $crate::script_file!("lib/arguments.sh"),
            $($crate::script_file!($file)),+
        )
    };
}

/// Joins files to a script that changes a host. The script fails at its start if the run no longer holds the lock, and has functions that read its
/// input, limit the time of a command and find the host's own processes. A script with input calls `take_input` before its first effect.
#[macro_export]
macro_rules! fenced {
    ($($file:literal),+) => {
        $crate::script!("lib/lock_held.sh", "lib/fence.sh", "lib/within.sh", "lib/input.sh", "lib/process.sh", $($file),+)
    };
}

#[cfg(test)]
mod tests {
    /// The text of `constants.sh`.
    fn constants() -> String {
        let head = "# Part of the head of every script: the paths and ports of src/layout.rs that scripts use. A test in src/host/script.rs writes this file\n\
                    # if UPDATE_GOLDENS=1 is set.\n\
                    # shellcheck disable=SC2034\n";
        let lines = crate::layout::for_scripts().into_iter().map(|(name, value)| format!("{name}={value}\n"));
        head.to_string() + &lines.collect::<String>()
    }

    #[test]
    fn the_constants_of_scripts_are_those_of_the_layout() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/host/scripts/lib/constants.sh");
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            std::fs::write(path, constants()).expect("the file can be written");
        }
        let there = std::fs::read_to_string(path).expect("the file can be read");
        assert_eq!(there, constants(), "write it with UPDATE_GOLDENS=1 cargo test --lib the_constants_of_scripts");
    }

    #[test]
    fn a_script_begins_with_the_names_of_its_files() {
        let text = script!("lock/lock.sh");
        assert!(text.starts_with("# lock/lock.sh\n"), "{text}");
        assert!(text.contains("\nSTATE_DIR=/var/lib/clusterctl\n"), "{text}");
    }
}
