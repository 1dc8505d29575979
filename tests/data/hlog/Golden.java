import org.HdrHistogram.*;
import java.io.*;
/* Made java.hlog and java.expected with HdrHistogram 2.1.11 (Debian: libhdrhistogram-java):
 *   java -cp /usr/share/java/hdrhistogram.jar Golden.java java.hlog java.expected */
public class Golden {
  static long x = 1;
  static long next() { x = x * 6364136223846793005L + 1442695040888963407L;
    long v = ((x >>> 22) & 0x3ffffffffffL) >>> (int)Long.remainderUnsigned(x >>> 8, 42);
    return Math.min(v, 3600000000000L); }
  static Histogram h() { return new Histogram(1, 3600000000000L, 3); }
  static void stats(PrintStream o, Histogram t) {
    o.println("n " + t.getTotalCount()); o.println("max " + t.getMaxValue());
    double[] qs = {0, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100};
    for (double q : qs) o.println("q" + q + " " + t.getValueAtPercentile(q));
  }
  public static void main(String[] a) throws Exception {
      HistogramLogWriter w = new HistogramLogWriter(new PrintStream(a[0]));
      w.outputComment("[Written by the Java library HdrHistogram 2.1.11]");
      w.outputLogFormatVersion(); w.outputStartTime(1795206298123L); w.outputBaseTime(1795206298123L); w.outputLegend();
      Histogram total = h();
      int[] sizes = {2000, 2000, 2000, 1};
      for (int i = 0; i < sizes.length; i++) { Histogram t = h();
        for (int k = 0; k < sizes[i]; k++) { long v = i == 3 ? 3600000000000L : next(); t.recordValue(v); }
        w.outputIntervalHistogram((double)i, (double)(i+1), t); total.add(t); }
      stats(new PrintStream(a[1]), total);
  }
}
