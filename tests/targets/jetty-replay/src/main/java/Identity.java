import java.io.InputStream;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.CRL;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;
import org.eclipse.jetty.util.ssl.SslContextFactory;

/** Key stores from PEM files; client certificates are required, and looked at once a full handshake. */
final class Identity extends SslContextFactory.Server {
    private static final String PASSWORD = "in memory only";
    private final Truth truth;

    Identity(Args args, Truth truth) throws Exception {
        this.truth = truth;
        KeyStore keys = empty();
        Certificate[] chain = certificates(args.cert()).toArray(Certificate[]::new);
        keys.setKeyEntry("server", key(args.key(), chain[0]), PASSWORD.toCharArray(), chain);
        KeyStore clients = empty();
        for (Certificate ca : certificates(args.ca())) {
            clients.setCertificateEntry("ca" + clients.size(), ca);
        }
        setKeyStore(keys);
        setKeyStorePassword(PASSWORD);
        setTrustStore(clients);
        setNeedClientAuth(true);
    }

    private static KeyStore empty() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        return store;
    }

    private static Collection<? extends Certificate> certificates(Path path) throws Exception {
        try (InputStream in = Files.newInputStream(path)) {
            return CertificateFactory.getInstance("X.509").generateCertificates(in);
        }
    }

    /** PKCS #8, of the algorithm that the certificate is for. */
    private static PrivateKey key(Path path, Certificate leaf) throws Exception {
        String base64 = Files.readString(path).replaceAll("-----[^-]*-----|\\s", "");
        return KeyFactory.getInstance(leaf.getPublicKey().getAlgorithm())
                .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(base64)));
    }

    @Override
    protected TrustManager[] getTrustManagers(KeyStore trusted, Collection<? extends CRL> crls)
            throws Exception {
        TrustManager[] managers = super.getTrustManagers(trusted, crls);
        for (int i = 0; i < managers.length; i++) {
            if (managers[i] instanceof X509ExtendedTrustManager manager) {
                managers[i] = new Counted(manager, truth);
            }
        }
        return managers;
    }

    /** Asked in full handshakes only. */
    private static final class Counted extends X509ExtendedTrustManager {
        private final X509ExtendedTrustManager wrapped;
        private final Truth truth;

        Counted(X509ExtendedTrustManager wrapped, Truth truth) {
            this.wrapped = wrapped;
            this.truth = truth;
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine)
                throws CertificateException {
            wrapped.checkClientTrusted(chain, type, engine);
            truth.sawCertificate(engine);
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket)
                throws CertificateException {
            wrapped.checkClientTrusted(chain, type, socket);
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type)
                throws CertificateException {
            wrapped.checkClientTrusted(chain, type);
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine)
                throws CertificateException {
            wrapped.checkServerTrusted(chain, type, engine);
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket)
                throws CertificateException {
            wrapped.checkServerTrusted(chain, type, socket);
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type)
                throws CertificateException {
            wrapped.checkServerTrusted(chain, type);
        }

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return wrapped.getAcceptedIssuers();
        }
    }
}
