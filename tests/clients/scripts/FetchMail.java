// Jakarta Mail's POP3 provider (com.sun.mail.pop3).
import MAILPACKAGE.*;
import java.io.*;
import java.util.Properties;

public class FetchMail {
    public static void main(String[] a) throws Exception {
        String host = a[0], user = a[2], password = a[3], security = a[5], mechanism = a[6];
        String protocol = security.equals("pop3s") ? "pop3s" : "pop3", prefix = "mail." + protocol + ".";
        Properties p = new Properties();
        p.put(prefix + "ssl.trust", "*");
        p.put(prefix + "ssl.checkserveridentity", "false");
        p.put(prefix + "timeout", "60000");
        p.put(prefix + "disablecapa", "false");
        if (security.equals("stls")) {
            p.put(prefix + "starttls.enable", "true");
            p.put(prefix + "starttls.required", "true");
        }
        if (mechanism.equals("apop")) p.put(prefix + "apop.enable", "true");
        if (mechanism.equals("pipelining")) p.put(prefix + "pipelining", "true");
        else if (!mechanism.equals("user") && !mechanism.equals("apop")) p.put(prefix + "auth.mechanisms", mechanism);
        Store store = Session.getInstance(p).getStore(protocol);
        store.connect(host, Integer.parseInt(a[1]), user, password);
        Folder folder = store.getFolder("INBOX");
        folder.open(Folder.READ_WRITE);
        for (Message message : folder.getMessages()) {
            try (OutputStream out = new BufferedOutputStream(new FileOutputStream("out/" + message.getMessageNumber()))) {
                message.writeTo(out);
            }
            if (a[4].equals("1")) message.setFlag(Flags.Flag.DELETED, true);
        }
        folder.close(true);
        store.close();
    }
}
