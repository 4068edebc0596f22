;; Emacs's pop3.el, as Gnus and Rmail use it: one mbox, which pop3-movemail writes.
(require 'pop3)
(pcase-let ((`(,host ,port ,user ,password ,delete ,security ,mechanism) command-line-args-left))
  (setq command-line-args-left nil
        network-security-level 'low
        pop3-mailhost host
        pop3-port (string-to-number port)
        pop3-maildrop user
        pop3-password password
        pop3-authentication-scheme (if (equal mechanism "apop") 'apop 'pass)
        pop3-stream-type (cdr (assoc security '(("" . network) ("stls" . starttls) ("pop3s" . ssl))))
        pop3-leave-mail-on-server (not (equal delete "1")))
  (pop3-movemail "mbox"))
