// Bouncy Castle, with the calls that the Kotlin library makes of it, driven by lines: a command and its arguments,
// separated by tabs; the answer is a line that begins with "ok" or "error". Objects go through files in the current
// directory. README.md in this directory lists the commands; reference.cjs answers the same ones.

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Security;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.PKIXCertPathBuilderResult;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.X509EncodedKeySpec;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Date;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Hashtable;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Pattern;
import org.bouncycastle.asn1.ASN1Boolean;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1EncodableVector;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.ASN1Sequence;
import org.bouncycastle.asn1.ASN1TaggedObject;
import org.bouncycastle.asn1.ASN1VisibleString;
import org.bouncycastle.asn1.DERBMPString;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.DERSet;
import org.bouncycastle.asn1.DERTaggedObject;
import org.bouncycastle.asn1.DERVisibleString;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.EnvelopedData;
import org.bouncycastle.asn1.cms.KeyAgreeRecipientInfo;
import org.bouncycastle.asn1.cms.OriginatorPublicKey;
import org.bouncycastle.asn1.cms.RecipientInfo;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.X500NameBuilder;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.AuthorityKeyIdentifier;
import org.bouncycastle.asn1.x509.Certificate;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.SubjectKeyIdentifier;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.KeyAgreeRecipientId;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.SimpleAttributeTableGenerator;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientInfoGenerator;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.util.Selector;
import org.bouncycastle.util.Store;
import org.bouncycastle.util.encoders.Hex;

public final class Reference {
    static final BouncyCastleProvider BC = new BouncyCastleProvider();
    static final SecureRandom RANDOM = new SecureRandom();
    static final ASN1ObjectIdentifier ORIGINATOR_KEY_ID =
        new ASN1ObjectIdentifier("1.3.6.1.4.1.58708.0.1.0");
    static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("yyyyMMddHHmmss");
    static final Pattern ID = Pattern.compile("0[a-f0-9]+");
    static final long DAY = 24L * 3600;

    /** A session key's public half under its id. */
    record SessionKey(byte[] id, PublicKey key) {
        String hex() {
            return Hex.toHexString(id);
        }
    }

    /** What a node knows of another. */
    static final class Peer {
        SessionKey sessionKey;
        Instant sessionKeyDate = Instant.MIN;
        List<X509CertificateHolder> path;
        X509CertificateHolder certificate;
        X509CertificateHolder cda;

        /** Takes the key of the latest date, as the Kotlin library's store does. */
        void offer(SessionKey key, Instant date) {
            if (date.isAfter(sessionKeyDate)) {
                sessionKey = key;
                sessionKeyDate = date;
            }
        }
    }

    static final class Node {
        KeyPair identity;
        String id;
        X509CertificateHolder certificate;
        X509CertificateHolder registration;
        X509CertificateHolder gateway;
        final Map<String, PrivateKey> keys = new HashMap<>();
        final Map<String, Peer> peers = new HashMap<>();

        Peer peer(String id) {
            return peers.computeIfAbsent(id, it -> new Peer());
        }

        SessionKey newSessionKey() throws Exception {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", BC);
            generator.initialize(new ECGenParameterSpec("P-256"), RANDOM);
            KeyPair pair = generator.generateKeyPair();
            byte[] keyId = new byte[8];
            RANDOM.nextBytes(keyId);
            keys.put(Hex.toHexString(keyId), pair.getPrivate());
            return new SessionKey(keyId, pair.getPublic());
        }
    }

    static final Map<String, Node> NODES = new HashMap<>();

    // Files and encodings

    static byte[] read(String file) throws Exception {
        return Files.readAllBytes(Path.of(file));
    }

    static void write(String file, byte[] octets) throws Exception {
        Files.write(Path.of(file), octets);
    }

    static X509CertificateHolder certificate(byte[] der) throws Exception {
        return new X509CertificateHolder(der);
    }

    static PublicKey rsa(byte[] spki) throws Exception {
        return KeyFactory.getInstance("RSA", BC).generatePublic(new X509EncodedKeySpec(spki));
    }

    static PublicKey ec(byte[] spki) throws Exception {
        return KeyFactory.getInstance("EC", BC).generatePublic(new X509EncodedKeySpec(spki));
    }

    static byte[] sha256(byte[] octets) throws Exception {
        return MessageDigest.getInstance("SHA-256").digest(octets);
    }

    static String idOf(byte[] spki) throws Exception {
        return "0" + Hex.toHexString(sha256(spki));
    }

    static String idOf(X509CertificateHolder certificate) throws Exception {
        return idOf(certificate.getSubjectPublicKeyInfo().getEncoded("DER"));
    }

    static ASN1Encodable tagged(int tag, ASN1Encodable value) {
        return new DERTaggedObject(false, tag, value);
    }

    static ASN1Encodable text(String text) {
        return new DERVisibleString(text);
    }

    static ASN1Encodable octets(byte[] octets) {
        return new DEROctetString(octets);
    }

    static byte[] der(ASN1Encodable... fields) throws Exception {
        return new DERSequence(fields).getEncoded("DER");
    }

    static ASN1Sequence sequence(byte[] der, int least) {
        ASN1Sequence fields = ASN1Sequence.getInstance(der);
        if (fields.size() < least) {
            throw new IllegalArgumentException(fields.size() + " fields");
        }
        return fields;
    }

    static ASN1TaggedObject field(ASN1Sequence fields, int at) {
        ASN1TaggedObject field = ASN1TaggedObject.getInstance(fields.getObjectAt(at));
        if (field.getTagNo() != at) {
            throw new IllegalArgumentException("tag " + field.getTagNo());
        }
        return field;
    }

    static String textOf(ASN1TaggedObject field) {
        return ASN1VisibleString.getInstance(field, false).getString();
    }

    static byte[] octetsOf(ASN1TaggedObject field) {
        return ASN1OctetString.getInstance(field, false).getOctets();
    }

    // Certificates

    static X500Name name(String id) {
        return new X500NameBuilder(BCStyle.INSTANCE).addRDN(BCStyle.CN, new DERBMPString(id)).build();
    }

    static X509CertificateHolder certify(
            Node own, String role, byte[] subject, X509CertificateHolder issuer, int days) throws Exception {
        boolean isCa = !role.equals("delivery");
        int pathLen = role.equals("gateway") ? (issuer == null ? 2 : 1) : 0;
        Instant now = Instant.now();
        Date end = Date.from(now.plusSeconds(days * DAY));
        if (issuer != null && issuer.getNotAfter().before(end)) {
            end = issuer.getNotAfter();
        }
        String subjectId = idOf(subject);
        X509v3CertificateBuilder builder = new X509v3CertificateBuilder(
            issuer == null ? name(subjectId) : issuer.getSubject(),
            new BigInteger(64, RANDOM),
            Date.from(now.minusSeconds(3 * 3600)),
            end,
            name(subjectId),
            SubjectPublicKeyInfo.getInstance(subject));
        // The Kotlin library writes both fields, also where DER would leave one out.
        builder.addExtension(Extension.basicConstraints, true,
            new DERSequence(new ASN1Encodable[] {ASN1Boolean.getInstance(isCa), new ASN1Integer(pathLen)}));
        builder.addExtension(Extension.subjectKeyIdentifier, false, new SubjectKeyIdentifier(sha256(subject)));
        builder.addExtension(Extension.authorityKeyIdentifier, false,
            new AuthorityKeyIdentifier(sha256(own.identity.getPublic().getEncoded())));
        ContentSigner signer = new JcaContentSignerBuilder("SHA256WITHRSAANDMGF1")
            .setProvider(BC).build(own.identity.getPrivate());
        return builder.build(signer);
    }

    static X509Certificate jca(X509CertificateHolder holder) throws Exception {
        return new JcaX509CertificateConverter().setProvider(BC).getCertificate(holder);
    }

    /** Checks that a path leads from the sender to a trusted certificate, by way of the recipient. */
    static void authorize(
            X509CertificateHolder sender, Collection<X509CertificateHolder> chain,
            List<X509CertificateHolder> trusted, String recipient) throws Exception {
        Set<TrustAnchor> anchors = new HashSet<>();
        for (X509CertificateHolder anchor : trusted) {
            anchors.add(new TrustAnchor(jca(anchor), null));
        }
        X509CertSelector target = new X509CertSelector();
        target.setCertificate(jca(sender));
        List<X509Certificate> pool = new ArrayList<>();
        pool.add(jca(sender));
        for (X509CertificateHolder one : chain) {
            if (!one.equals(sender)) {
                pool.add(jca(one));
            }
        }
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(anchors, target);
        parameters.setRevocationEnabled(false);
        parameters.addCertStore(
            CertStore.getInstance("Collection", new CollectionCertStoreParameters(pool)));
        PKIXCertPathBuilderResult result =
            (PKIXCertPathBuilderResult) CertPathBuilder.getInstance("PKIX", BC).build(parameters);
        List<? extends java.security.cert.Certificate> path = result.getCertPath().getCertificates();
        java.security.cert.Certificate second =
            path.size() > 1 ? path.get(1) : result.getTrustAnchor().getTrustedCert();
        if (!idOf(second.getPublicKey().getEncoded()).equals(recipient)) {
            throw new SecurityException("not authorized by the recipient");
        }
    }

    // Messages

    static byte[] seal(Node own, SessionKey recipient, byte[] plaintext) throws Exception {
        SessionKey originator = own.newSessionKey();
        byte[] ukm = new byte[64];
        RANDOM.nextBytes(ukm);
        JceKeyAgreeRecipientInfoGenerator agreement = new JceKeyAgreeRecipientInfoGenerator(
            CMSAlgorithm.ECDH_SHA256KDF, own.keys.get(originator.hex()), originator.key(),
            CMSAlgorithm.AES128_WRAP);
        agreement.setProvider(BC);
        agreement.setUserKeyingMaterial(ukm);
        agreement.addRecipient(recipient.id(), recipient.key());
        Hashtable<ASN1ObjectIdentifier, Attribute> attributes = new Hashtable<>();
        attributes.put(ORIGINATOR_KEY_ID,
            new Attribute(ORIGINATOR_KEY_ID, new DERSet(octets(originator.id()))));
        CMSEnvelopedDataGenerator generator = new CMSEnvelopedDataGenerator();
        generator.addRecipientInfoGenerator(agreement);
        generator.setUnprotectedAttributeGenerator(
            new SimpleAttributeTableGenerator(new AttributeTable(attributes)));
        return generator.generate(
            new CMSProcessableByteArray(plaintext),
            new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES128_CBC).setProvider(BC).build()).getEncoded();
    }

    static String[] send(
            int type, Node own, String id, String address, X509CertificateHolder signer,
            List<X509CertificateHolder> chain, byte[] plaintext, long age, String out) throws Exception {
        ASN1EncodableVector recipient = new ASN1EncodableVector();
        recipient.add(tagged(0, text(id)));
        if (!address.equals("-")) {
            recipient.add(tagged(1, text(address)));
        }
        String messageId = UUID.randomUUID().toString();
        LocalDateTime date = LocalDateTime.now(ZoneOffset.UTC).minusSeconds(age);
        byte[] fields = der(
            tagged(0, new DERSequence(recipient)),
            tagged(1, text(messageId)),
            tagged(2, text(DATE.format(date))),
            tagged(3, new ASN1Integer(10 * DAY)),
            tagged(4, octets(seal(own, own.peer(id).sessionKey, plaintext))));
        List<X509CertificateHolder> attached = new ArrayList<>();
        attached.add(signer);
        attached.addAll(chain);
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        generator.addSignerInfoGenerator(new JcaSimpleSignerInfoGeneratorBuilder()
            .setProvider(BC).build("SHA256WITHRSAANDMGF1", own.identity.getPrivate(), jca(signer)));
        generator.addCertificates(new JcaCertStore(attached));
        byte[] signed = generator.generate(new CMSProcessableByteArray(fields), true).getEncoded();
        ByteArrayOutputStream message = new ByteArrayOutputStream();
        message.write(new byte[] {'A', 'w', 'a', 'l', 'a', (byte) type, 0});
        message.write(signed);
        write(out, message.toByteArray());
        return new String[] {messageId};
    }

    /** What was opened: the plaintext, whose it is, and the facts. */
    record Opened(byte[] plaintext, String sender, List<String> facts) {}

    static Opened open(int type, Node own, String file, String trust) throws Exception {
        byte[] message = read(file);
        byte[] signature = {'A', 'w', 'a', 'l', 'a', (byte) type, 0};
        if (!Arrays.equals(signature, Arrays.copyOf(message, signature.length))) {
            throw new IllegalArgumentException("format signature");
        }
        CMSSignedData signed = new CMSSignedData(Arrays.copyOfRange(message, 7, message.length));
        Collection<SignerInformation> signers = signed.getSignerInfos().getSigners();
        if (signers.size() != 1) {
            throw new IllegalArgumentException(signers.size() + " signers");
        }
        SignerInformation signer = signers.iterator().next();
        Store<X509CertificateHolder> store = signed.getCertificates();
        @SuppressWarnings("unchecked")
        Selector<X509CertificateHolder> selector = signer.getSID();
        X509CertificateHolder sender = store.getMatches(selector).iterator().next();
        if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(jca(sender)))) {
            throw new SecurityException("signature");
        }
        ASN1Sequence fields = sequence((byte[]) signed.getSignedContent().getContent(), 5);
        if (fields.size() != 5) {
            throw new IllegalArgumentException(fields.size() + " fields");
        }
        ASN1Sequence recipient = ASN1Sequence.getInstance(field(fields, 0), false);
        String recipientId = textOf(field(recipient, 0));
        if (!ID.matcher(recipientId).matches() || !recipientId.equals(own.id)) {
            throw new IllegalArgumentException("for " + recipientId);
        }
        String messageId = textOf(field(fields, 1));
        String date = textOf(field(fields, 2));
        Instant created = LocalDateTime.parse(date, DATE).toInstant(ZoneOffset.UTC);
        long ttl = ASN1Integer.getInstance(field(fields, 3), false).longValueExact();
        Instant now = Instant.now();
        if (created.isAfter(now) || created.plusSeconds(ttl).isBefore(now) || ttl > 180 * DAY) {
            throw new IllegalArgumentException("dates");
        }
        if (!sender.isValidOn(Date.from(now))) {
            throw new IllegalArgumentException("sender's certificate");
        }
        if (!trust.equals("any")) {
            List<X509CertificateHolder> trusted = new ArrayList<>();
            for (String anchor : trust.split(",")) {
                trusted.add(certificate(read(anchor)));
            }
            authorize(sender, store.getMatches(null), trusted, recipientId);
        }

        CMSEnvelopedData enveloped = new CMSEnvelopedData(octetsOf(field(fields, 4)));
        Collection<RecipientInformation> recipients = enveloped.getRecipientInfos().getRecipients();
        if (recipients.size() != 1) {
            throw new IllegalArgumentException(recipients.size() + " recipients");
        }
        RecipientInformation information = recipients.iterator().next();
        String keyId = Hex.toHexString(((KeyAgreeRecipientId) information.getRID()).getSubjectKeyIdentifier());
        PrivateKey key = own.keys.get(keyId);
        if (key == null) {
            throw new IllegalArgumentException("no session key " + keyId);
        }
        byte[] plaintext =
            information.getContent(new JceKeyAgreeEnvelopedRecipient(key).setProvider(BC));
        EnvelopedData structure =
            EnvelopedData.getInstance(enveloped.toASN1Structure().getContent());
        RecipientInfo info = RecipientInfo.getInstance(structure.getRecipientInfos().getObjectAt(0));
        OriginatorPublicKey originator =
            KeyAgreeRecipientInfo.getInstance(info.getInfo()).getOriginator().getOriginatorKey();
        PublicKey originatorKey = ec(new SubjectPublicKeyInfo(
            originator.getAlgorithm(), originator.getPublicKey().getBytes()).getEncoded());
        Attribute attribute = enveloped.getUnprotectedAttributes().get(ORIGINATOR_KEY_ID);
        if (attribute.getAttrValues().size() != 1) {
            throw new IllegalArgumentException("originator key ids");
        }
        byte[] originatorId =
            ASN1OctetString.getInstance(attribute.getAttrValues().getObjectAt(0)).getOctets();
        String senderId = idOf(sender);
        Peer peer = own.peer(senderId);
        peer.offer(new SessionKey(originatorId, originatorKey), created);
        peer.certificate = sender;
        List<String> facts = new ArrayList<>(
            List.of(senderId, messageId, keyId, Hex.toHexString(originatorId)));
        return new Opened(plaintext, senderId, facts);
    }

    // Commands

    static Node node(String name) {
        Node own = NODES.get(name);
        if (own == null) {
            throw new IllegalArgumentException("no node " + name);
        }
        return own;
    }

    static String[] run(String[] words) throws Exception {
        switch (words[0]) {
            case "node": {
                Node own = new Node();
                KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA", BC);
                generator.initialize(2048);
                own.identity = generator.generateKeyPair();
                byte[] spki = own.identity.getPublic().getEncoded();
                own.id = idOf(spki);
                own.certificate = certify(own, words[2], spki, null, 120);
                NODES.put(words[1], own);
                write(words[1] + ".pub", spki);
                write(words[1] + ".der", own.certificate.getEncoded());
                return new String[] {own.id};
            }
            case "write-ncp": {
                Node own = node(words[1]);
                SessionKey key = own.newSessionKey();
                write(words[3], der(
                    tagged(0, text(words[2])),
                    tagged(1, octets(own.identity.getPublic().getEncoded())),
                    tagged(2, new DERSequence(new ASN1Encodable[] {
                        tagged(0, octets(key.id())), tagged(1, octets(key.key().getEncoded()))}))));
                return new String[0];
            }
            case "read-ncp": {
                ASN1Sequence fields = sequence(read(words[2]), 3);
                byte[] spki = octetsOf(field(fields, 1));
                rsa(spki);
                ASN1Sequence session = ASN1Sequence.getInstance(field(fields, 2), false);
                SessionKey key = new SessionKey(octetsOf(field(session, 0)), ec(octetsOf(field(session, 1))));
                node(words[1]).peer(idOf(spki)).offer(key, Instant.EPOCH);
                return new String[] {idOf(spki), textOf(field(fields, 0)), key.hex()};
            }
            case "write-pecp": {
                Node own = node(words[1]);
                X509CertificateHolder issuer = own.registration == null ? own.certificate : own.registration;
                int days = words.length > 5 ? Integer.parseInt(words[5]) : 60;
                X509CertificateHolder leaf = certify(own, "delivery", read(words[3]), issuer, days);
                ASN1EncodableVector chain = new ASN1EncodableVector();
                chain.add(issuer.toASN1Structure());
                if (own.gateway != null) {
                    chain.add(own.gateway.toASN1Structure());
                }
                SessionKey key = own.newSessionKey();
                write(words[4], der(
                    tagged(0, SubjectPublicKeyInfo.getInstance(own.identity.getPublic().getEncoded())),
                    tagged(1, text(words[2])),
                    tagged(2, new DERSequence(new ASN1Encodable[] {
                        tagged(0, leaf.toASN1Structure()), tagged(1, new DERSequence(chain))})),
                    tagged(3, new DERSequence(new ASN1Encodable[] {
                        tagged(0, octets(key.id())),
                        tagged(1, SubjectPublicKeyInfo.getInstance(key.key().getEncoded()))}))));
                return new String[0];
            }
            case "read-pecp": {
                ASN1Sequence fields = sequence(read(words[2]), 4);
                byte[] spki = SubjectPublicKeyInfo.getInstance(field(fields, 0), false).getEncoded("DER");
                rsa(spki);
                List<X509CertificateHolder> path = path(ASN1Sequence.getInstance(field(fields, 2), false));
                ASN1Sequence session = ASN1Sequence.getInstance(field(fields, 3), false);
                SessionKey key = new SessionKey(
                    octetsOf(field(session, 0)),
                    ec(SubjectPublicKeyInfo.getInstance(field(session, 1), false).getEncoded("DER")));
                Peer peer = node(words[1]).peer(idOf(spki));
                peer.offer(key, path.get(0).getNotBefore().toInstant());
                peer.path = path;
                return new String[] {idOf(spki), textOf(field(fields, 1)), key.hex()};
            }
            case "write-pnr": {
                Node own = node(words[1]);
                X509CertificateHolder issuer = own.registration == null ? own.certificate : own.registration;
                ASN1EncodableVector fields = new ASN1EncodableVector();
                fields.add(tagged(0, octets(certify(own, words[3], read(words[4]), issuer, 60).getEncoded())));
                fields.add(tagged(1, octets(issuer.getEncoded())));
                fields.add(tagged(2, text(words[2])));
                if (words[3].equals("gateway")) {
                    SessionKey key = own.newSessionKey();
                    fields.add(tagged(3, new DERSequence(new ASN1Encodable[] {
                        tagged(0, octets(key.id())), tagged(1, octets(key.key().getEncoded()))})));
                }
                write(words[5], new DERSequence(fields).getEncoded("DER"));
                return new String[0];
            }
            case "read-pnr": {
                Node own = node(words[1]);
                ASN1Sequence fields = sequence(read(words[2]), 3);
                X509CertificateHolder leaf = certificate(octetsOf(field(fields, 0)));
                X509CertificateHolder gateway = certificate(octetsOf(field(fields, 1)));
                if (!idOf(leaf).equals(own.id)) {
                    throw new IllegalArgumentException("whose?");
                }
                authorize(leaf, List.of(), List.of(gateway), idOf(gateway));
                own.registration = leaf;
                own.gateway = gateway;
                write(words[1] + ".registered.der", leaf.getEncoded());
                String keyId = "-";
                if (fields.size() > 3) {
                    ASN1Sequence session = ASN1Sequence.getInstance(field(fields, 3), false);
                    SessionKey key =
                        new SessionKey(octetsOf(field(session, 0)), ec(octetsOf(field(session, 1))));
                    own.peer(idOf(gateway)).offer(key, leaf.getNotBefore().toInstant());
                    keyId = key.hex();
                }
                return new String[] {idOf(gateway), textOf(field(fields, 2)), keyId};
            }
            case "parcel": {
                Node own = node(words[1]);
                Peer peer = own.peer(words[2]);
                String type = words.length > 7 ? words[7] : "application/octet-stream";
                byte[] message = der(tagged(0, text(type)), tagged(1, octets(read(words[4]))));
                X509CertificateHolder signer = peer.path == null ? own.certificate : peer.path.get(0);
                List<X509CertificateHolder> chain =
                    peer.path == null ? List.of() : peer.path.subList(1, peer.path.size());
                return send(0x50, own, words[2], words[3], signer, chain, message,
                    Long.parseLong(words[5]), words[6]);
            }
            case "cargo": {
                Node own = node(words[1]);
                Peer peer = own.peer(words[2]);
                ASN1EncodableVector items = new ASN1EncodableVector();
                for (String item : Arrays.asList(words).subList(5, words.length)) {
                    items.add(octets(read(item)));
                }
                X509CertificateHolder signer = peer.cda == null ? own.registration : peer.cda;
                List<X509CertificateHolder> chain =
                    peer.cda == null ? List.of() : List.of(peer.certificate);
                return send(0x43, own, words[2], words[3], signer, chain,
                    new DERSequence(items).getEncoded("DER"), 60, words[4]);
            }
            case "cca": {
                Node own = node(words[1]);
                X509CertificateHolder cda =
                    certify(own, "delivery", read(words[4]), own.certificate, 60);
                return send(0x44, own, words[2], words[3], own.registration, List.of(),
                    der(tagged(0, octets(cda.getEncoded()))), 60, words[5]);
            }
            case "open-parcel": {
                Opened opened = open(0x50, node(words[1]), words[2], words[3]);
                ASN1Sequence message = sequence(opened.plaintext(), 2);
                write(words[4], octetsOf(field(message, 1)));
                opened.facts().add(textOf(field(message, 0)));
                return opened.facts().toArray(new String[0]);
            }
            case "open-cargo": {
                Opened opened = open(0x43, node(words[1]), words[2], words[3]);
                ASN1Sequence items = sequence(opened.plaintext(), 0);
                ByteArrayOutputStream all = new ByteArrayOutputStream();
                for (ASN1Encodable item : items) {
                    if (!(item instanceof DEROctetString)) {
                        throw new IllegalArgumentException(item.getClass().getName());
                    }
                    all.write(((DEROctetString) item).getOctets());
                }
                write(words[4], all.toByteArray());
                opened.facts().add(String.valueOf(items.size()));
                return opened.facts().toArray(new String[0]);
            }
            case "open-rotations": {
                Node own = node(words[1]);
                ASN1Sequence items = sequence(open(0x43, own, words[2], words[3]).plaintext(), 0);
                int applied = 0;
                for (ASN1Encodable item : items) {
                    byte[] rotation = ((DEROctetString) item).getOctets();
                    try {
                        X509CertificateHolder leaf =
                            path(ASN1Sequence.getInstance(Arrays.copyOfRange(rotation, 7, rotation.length))).get(0);
                        if (idOf(leaf).equals(own.id) && leaf.getNotAfter().after(own.registration.getNotAfter())) {
                            own.registration = leaf;
                            applied++;
                        }
                    } catch (IllegalArgumentException | IllegalStateException otherForm) {
                        continue; // gateways go on with the next item
                    }
                }
                write(words[1] + ".registered.der", own.registration.getEncoded());
                return new String[] {String.valueOf(items.size()), String.valueOf(applied)};
            }
            case "open-cca": {
                Node own = node(words[1]);
                Opened opened = open(0x44, own, words[2], words[3]);
                X509CertificateHolder cda =
                    certificate(octetsOf(field(sequence(opened.plaintext(), 1), 0)));
                if (!idOf(cda).equals(own.id)) {
                    throw new IllegalArgumentException("CDA for another");
                }
                own.peer(opened.sender()).cda = cda;
                return opened.facts().toArray(new String[0]);
            }
            case "write-pca": {
                ByteArrayOutputStream pca = new ByteArrayOutputStream();
                pca.write(new byte[] {'A', 'w', 'a', 'l', 'a', 0x51, 0});
                pca.write(der(tagged(0, text(words[1])), tagged(1, text(words[2])), tagged(2, text(words[3]))));
                write(words[4], pca.toByteArray());
                return new String[0];
            }
            case "read-pca": {
                byte[] pca = read(words[1]);
                ASN1Sequence fields = sequence(Arrays.copyOfRange(pca, 7, pca.length), 3);
                return new String[] {
                    textOf(field(fields, 0)), textOf(field(fields, 1)), textOf(field(fields, 2))};
            }
            case "write-rotation": {
                Node own = node(words[1]);
                X509CertificateHolder leaf = certify(own, words[2], read(words[3]), own.certificate, 90);
                ByteArrayOutputStream rotation = new ByteArrayOutputStream();
                rotation.write(new byte[] {'A', 'w', 'a', 'l', 'a', 0x10, 0});
                rotation.write(der(
                    tagged(0, leaf.toASN1Structure()),
                    tagged(1, new DERSequence(own.certificate.toASN1Structure()))));
                write(words[4], rotation.toByteArray());
                return new String[0];
            }
            case "read-rotation": {
                byte[] rotation = read(words[1]);
                List<String> ids = new ArrayList<>();
                for (X509CertificateHolder one :
                        path(ASN1Sequence.getInstance(Arrays.copyOfRange(rotation, 7, rotation.length)))) {
                    ids.add(idOf(one));
                }
                return ids.toArray(new String[0]);
            }
            default:
                throw new IllegalArgumentException("no command " + words[0]);
        }
    }

    /** A certification path with its certificates directly under their tags. */
    static List<X509CertificateHolder> path(ASN1Sequence fields) {
        List<X509CertificateHolder> path = new ArrayList<>();
        path.add(new X509CertificateHolder(Certificate.getInstance(field(fields, 0), false)));
        for (ASN1Encodable one : ASN1Sequence.getInstance(field(fields, 1), false)) {
            path.add(new X509CertificateHolder(Certificate.getInstance(one)));
        }
        return path;
    }

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(BC);
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                String[] results = run(line.split("\t", -1));
                answer = results.length == 0 ? "ok" : "ok\t" + String.join("\t", results);
            } catch (Exception | LinkageError error) {
                StackTraceElement[] trace = error.getStackTrace();
                String where = trace.length == 0 ? "" : " at " + trace[0];
                answer = "error\t" + (error + where).replaceAll("[\\t\\r\\n]+", " ");
            }
            out.println(answer);
        }
    }
}
