import java.util.Arrays;
import java.util.List;

/** What a version of Jetty is known to leak. */
record Mode(String name, String leaksPer) {
    /** Request bodies come compressed: CVE-2026-1605, mended in 12.0.32 and 12.1.6. */
    private static boolean losesInflaters(int[] version) {
        return version[1] == 0 ? version[2] < 32 : version[1] == 1 && version[2] < 6;
    }

    /** TLS 1.3 sessions hold those that they came from: issue 12284, mended in 12.0.14. */
    private static boolean chainsSessions(int[] version) {
        return version[1] == 0 && version[2] > 3 && version[2] < 14;
    }

    static List<Mode> of(String version) {
        int[] parts = Arrays.stream(version.split("\\.")).mapToInt(Integer::parseInt).toArray();
        if (parts.length != 3 || parts[0] != 12) {
            throw new IllegalArgumentException("Jetty " + version + " is not known here");
        }
        return List.of(
                new Mode("gzip", losesInflaters(parts) ? "request" : null),
                new Mode("resume", chainsSessions(parts) ? "resumption" : null));
    }

    @Override
    public String toString() {
        return leaksPer == null ? name + " pass -" : name + " leak " + leaksPer;
    }
}
