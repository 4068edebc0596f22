; newLISP's module POP3
(load "/usr/share/newlisp/modules/pop3.lsp")
(define arguments (3 (main-args)))
(POP3:get-all-mail (arguments 2) (arguments 3) (arguments 0) (string (real-path) "/out/"))
(exit)
