require "net/pop"
host, port, user, password, delete, security, mechanism = ARGV
pop = Net::POP3.new(host, port.to_i, mechanism == "apop")
pop.enable_ssl(OpenSSL::SSL::VERIFY_NONE) if security == "pop3s"
pop.start(user, password) do
  pop.mails.each.with_index(1) do |mail, number|
    File.open("out/#{number}", "wb") { |file| mail.pop { |chunk| file << chunk } }
    mail.delete if delete == "1"
  end
end
