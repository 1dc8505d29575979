import org.HdrHistogram.*;
import java.io.*;
import java.util.Locale;
/* Reads histogram logs with the Java library HdrHistogram (Debian: libhdrhistogram-java) and prints a line a log: its
 * file, intervals, start of the first and end of the last in seconds since the epoch, then count, mean and percentiles of all of them
 * together in the logs' unit; and writes FILE.hgrm, its percentile table in millionths of that, beside the log's copy:
 *   java -cp /usr/share/java/hdrhistogram.jar Reader.java latency.response.hlog... */
public class Reader {
  public static void main(String[] files) throws Exception {
    for (String file : files) {
      HistogramLogReader reader = new HistogramLogReader(file);
      Histogram total = new Histogram(1, 3600000000000L, 3);
      int intervals = 0; double last = 0, first = -1;
      for (EncodableHistogram next; (next = reader.nextIntervalHistogram()) != null; intervals++) {
        if (next.getStartTimeStamp() / 1000.0 < last) throw new IOException(file + ": an interval begins before the last one ends");
        last = next.getEndTimeStamp() / 1000.0;
        first = intervals == 0 ? next.getStartTimeStamp() / 1000.0 : first;
        total.add((Histogram) next);
      }
      System.out.printf(Locale.ROOT, "%s %d %.3f %.3f %d %.3f", file, intervals, first, last, total.getTotalCount(), total.getMean());
      for (double q : new double[] {50, 90, 99, 99.9, 100}) System.out.print(" " + total.getValueAtPercentile(q));
      System.out.println();
      try (PrintStream table = new PrintStream(file + ".hgrm")) { total.outputPercentileDistribution(table, 5, 1000000.0); }
    }
  }
}
