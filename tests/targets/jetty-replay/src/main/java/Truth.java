import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLEngine;
import org.eclipse.jetty.io.ssl.SslHandshakeListener;

/** What the server itself knows: a line a second in the file of --truth, and one more on demand. */
final class Truth implements SslHandshakeListener {
    private static final Path STATUS = Path.of("/proc/self/status");
    private static final Pattern ANONYMOUS_KIB = Pattern.compile("(?m)^RssAnon:\\s*(\\d+) kB$");

    final LongAdder requests = new LongAdder();
    private final LongAdder handshakesFull = new LongAdder();
    private final LongAdder resumptions = new LongAdder();
    private final Set<SSLEngine> verified = ConcurrentHashMap.newKeySet();
    private final Path path;
    private final boolean outsideHeap;
    private final long startedNs = System.nanoTime();

    /** No file: nothing is written.  What leaks is memory outside the heap, or objects in it. */
    Truth(Path path, boolean outsideHeap) {
        this.path = path;
        this.outsideHeap = outsideHeap;
    }

    void start() {
        Thread writer = new Thread(this::writeEachSecond, "truth");
        writer.setDaemon(true);
        writer.start();
    }

    /** A client's certificate is good, which is asked in full handshakes only. */
    void sawCertificate(SSLEngine engine) {
        verified.add(engine);
    }

    @Override
    public void handshakeSucceeded(Event event) {
        (verified.remove(event.getSSLEngine()) ? handshakesFull : resumptions).increment();
    }

    @Override
    public void handshakeFailed(Event event, Throwable why) {
        verified.remove(event.getSSLEngine());
    }

    private void writeEachSecond() {
        try {
            while (true) {
                write(outsideHeap ? Long.toString(outsideHeapBytes()) : "null", "");
                Thread.sleep(1000);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Of a heap it collects twice, since the first time runs cleaners that let go of more. */
    void writeFloor() {
        long live;
        if (outsideHeap) {
            live = outsideHeapBytes();
        } else {
            System.gc();
            System.gc();
            live = usedAfterCollection();
        }
        write(Long.toString(live), ",\"floor\":true");
    }

    /** Unlike what is used now, without the room that threads have taken for what comes. */
    private static long usedAfterCollection() {
        return ManagementFactory.getMemoryPoolMXBeans().stream()
                .filter(pool -> pool.getType() == MemoryType.HEAP)
                .mapToLong(pool -> pool.getCollectionUsage().getUsed())
                .sum();
    }

    /** Resident and anonymous, less the heap, which is all resident (-XX:+AlwaysPreTouch). */
    private static long outsideHeapBytes() {
        try {
            Matcher found = ANONYMOUS_KIB.matcher(Files.readString(STATUS));
            long anonymous = found.find() ? Long.parseLong(found.group(1)) * 1024 : 0;
            long heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getCommitted();
            return anonymous - heap;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private synchronized void write(String live, String more) {
        if (path == null) {
            return;
        }
        long full = handshakesFull.sum();
        long resumed = resumptions.sum();
        String line = String.format(
                "{\"t_s\":%.3f,\"entries\":0,\"bytes\":0,\"live_bytes\":%s,\"requests\":%d,"
                        + "\"connections\":%d,\"handshakes_full\":%d,\"resumptions\":%d,"
                        + "\"certs\":0,\"keys\":0,\"jwts\":0,\"aborted\":0,\"rotations\":0%s}%n",
                (System.nanoTime() - startedNs) / 1e9, live, requests.sum(), full + resumed,
                full, resumed, more);
        try {
            Files.writeString(
                    path, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
