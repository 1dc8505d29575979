import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The command line of every server of the fleet; what bounds remedies has no meaning here. */
record Args(String host, int port, Path ca, Path cert, Path key, String mode, Path truth) {
    private static final Set<String> UNUSED = Set.of(
            "--apikey-secret", "--jwt-secret", "--cap", "--ttl", "--sweep", "--payload",
            "--workers");
    private static final Set<String> KNOWN =
            Set.of("--listen", "--ca", "--cert", "--key", "--leak", "--truth");

    private static RuntimeException die(String what) {
        System.err.println(what);
        System.exit(2);
        return new IllegalArgumentException(what);
    }

    static Args parse(String[] words, List<Mode> modes) {
        Map<String, String> values = new HashMap<>();
        for (int i = 0; i < words.length; i += 2) {
            if (!KNOWN.contains(words[i]) && !UNUSED.contains(words[i])) {
                throw die(words[i] + " is not known");
            }
            if (i + 1 == words.length) {
                throw die(words[i] + ": a value is missing");
            }
            values.put(words[i], words[i + 1]);
        }
        for (String needed : List.of("--listen", "--ca", "--cert", "--key", "--leak")) {
            if (!values.containsKey(needed)) {
                throw die(needed + " is missing");
            }
        }
        String mode = values.get("--leak");
        if (modes.stream().noneMatch(known -> known.name().equals(mode))) {
            throw die("--leak " + mode + " is not known; see --modes");
        }
        String listen = values.get("--listen");
        int colon = listen.lastIndexOf(':');
        if (colon < 0) {
            throw die("--listen: " + listen + " is no ADDRESS:PORT");
        }
        String truth = values.get("--truth");
        return new Args(
                listen.substring(0, colon), Integer.parseInt(listen.substring(colon + 1)),
                Path.of(values.get("--ca")), Path.of(values.get("--cert")),
                Path.of(values.get("--key")), mode, truth == null ? null : Path.of(truth));
    }
}
