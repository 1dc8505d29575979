import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.SecureRequestCustomizer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.SslConnectionFactory;
import org.eclipse.jetty.server.handler.gzip.GzipHandler;
import org.eclipse.jetty.util.Callback;

/** A Jetty as many services embed it, to show two leaks that its makers published and mended. */
public final class Replay {
    private static final String GZIP = "gzip";
    private static final int INFLATE_BUFFER_BYTES = 8192;

    private Replay() {}

    /** Asks for certificates; answers when it has read the body, if there is one. */
    private static final class Work extends Handler.Abstract {
        private final Truth truth;

        Work(Truth truth) {
            this.truth = truth;
        }

        @Override
        public boolean handle(Request request, Response response, Callback callback) {
            truth.requests.increment();
            if (Request.getPathInContext(request).equals("/ignore")) {
                answer(response, callback);
            } else {
                Content.Source.consumeAll(
                        request, Callback.from(() -> answer(response, callback), callback::failed));
            }
            return true;
        }

        private static void answer(Response response, Callback callback) {
            response.getHeaders().put(HttpHeader.CONTENT_TYPE, "text/plain");
            Content.Sink.write(response, true, "ok\n", callback);
        }
    }

    private static ServerConnector connector(Server server, Args args, Truth truth)
            throws Exception {
        HttpConfiguration http = new HttpConfiguration();
        // What puts the session's data where requests find it.
        http.addCustomizer(new SecureRequestCustomizer(false));
        SslConnectionFactory ssl =
                new SslConnectionFactory(new Identity(args, truth), "http/1.1");
        ServerConnector connector =
                new ServerConnector(server, ssl, new HttpConnectionFactory(http));
        connector.setHost(args.host());
        connector.setPort(args.port());
        connector.addBean(truth);
        return connector;
    }

    private static Handler handler(String mode, Truth truth) {
        Work work = new Work(truth);
        if (!mode.equals(GZIP)) {
            return work;
        }
        GzipHandler gzip = new GzipHandler();
        gzip.setInflateBufferSize(INFLATE_BUFFER_BYTES);
        gzip.setHandler(work);
        return gzip;
    }

    private static void obey(Truth truth) throws IOException {
        BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (line.trim().equals("floor")) {
                truth.writeFloor();
            }
        }
    }

    public static void main(String[] words) throws Exception {
        List<Mode> modes = Mode.of(Server.getVersion());
        if (words.length == 1 && words[0].equals("--modes")) {
            modes.forEach(System.out::println);
            return;
        }
        Args args = Args.parse(words, modes);
        Truth truth = new Truth(args.truth(), args.mode().equals(GZIP));
        Server server = new Server();
        ServerConnector connector = connector(server, args, truth);
        server.addConnector(connector);
        server.setHandler(handler(args.mode(), truth));
        server.start();
        truth.start();
        System.out.printf(
                "READY {\"addr\":\"%s:%d\",\"pid\":%d,\"mode\":\"%s\",\"impl\":\"jetty %s\"}%n",
                args.host(), connector.getLocalPort(), ProcessHandle.current().pid(), args.mode(),
                Server.getVersion());
        System.out.flush();
        obey(truth);
        Runtime.getRuntime().halt(0);
    }
}
